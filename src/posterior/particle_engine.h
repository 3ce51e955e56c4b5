#pragma once
// Sequential Monte Carlo over a noise schedule, many independent chains of particles at once. Particles are
// worked on in slices of fixed number, each on one thread, so that no bit depends on the threads.

#include "tweedie/particles.h"

#include <functional>

namespace tweedie {

// One problem as the particles see it, safe to call from several threads. Rows are particles, x: (R, d).
class ParticleModel {
 public:
  virtual ~ParticleModel() = default;

  struct Particles {
    Tensor x;           // (R, d)
    Tensor log_factor;  // (R) float64, of the weight; undefined: 0
  };
  // At sigma[0]
  virtual Particles start(int64_t rows, Noise& noise) const = 0;

  struct Look {
    Tensor log_factor;  // (R) float64, known before the move; undefined: 0
    Tensor carry;       // (R, c): what the move needs of a particle
    Tensor log_twist;   // (R) float64: what the move's factor is divided by; undefined: 0
  };
  // At sigma[k], before the move to sigma[k + 1]
  virtual Look look(const Tensor& x, int64_t k) const = 0;
  virtual Particles move(const Tensor& carry, int64_t k, Noise& noise) const = 0;
  // (R) float64, the last factor of the weight; undefined: 0
  virtual Tensor finish(const Tensor& x) const = 0;

  virtual int64_t carried() const = 0;            // c
  virtual bool twisted() const { return false; }  // does look() give a log_twist?
  virtual double log_constant() const = 0;        // of the evidence
};

struct ParticleRun {
  Shape shape;  // of one draw
  int64_t steps;
  bool evidence;  // do the weights estimate one?
  // The model of a case, for a chain with this noise
  std::function<std::unique_ptr<ParticleModel>(int64_t c, const Noise& of_chain)> model;
};

Draws run_particles(const ParticleRun& run, const ParticleOptions& options, const char* method, int64_t draws,
                    int64_t cases, const Noise& noise, const Observer& observer, const DrawOptions& draw);

// `keep` of the particles with new log weights, unbiased for every function of them: those heavier than a
// threshold stay as they are, the others are thinned systematically to equal weights (Fearnhead and Clifford
// 2003). log_weight (N), keep <= N. Returns indices (keep), ascending, and their log weights.
std::pair<Tensor, Tensor> thin(const Tensor& log_weight, int64_t keep, Noise& noise);

}  // namespace tweedie
