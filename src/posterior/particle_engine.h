#pragma once
// Sequential Monte Carlo over a noise schedule, many independent chains of particles at once. Particles are
// worked on in slices whose size follows from their number and dimension alone, each slice on one thread, so
// that no bit depends on the threads.

#include "core/shape.h"
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
    Tensor log_twist;   // (R) float64: what the move's factor is divided by; undefined: 0
  };
  // At sigma[k], before the move to sigma[k + 1]. carry: (R, c), to be filled with what the move needs.
  virtual Look look(const Tensor& x, int64_t k, const Tensor& carry) const = 0;
  // Of the rows parent (R), int64, of carry (N, c)
  virtual Particles move(const Tensor& carry, const Tensor& parent, int64_t k, Noise& noise) const = 0;
  // (R) float64, the last factor of the weight; undefined: 0
  virtual Tensor finish(const Tensor& x) const = 0;

  virtual int64_t carried() const = 0;            // c
  virtual bool twisted() const { return false; }  // does look() give a log_twist?
  virtual double log_constant() const = 0;        // of the evidence
};

// A problem for particles: what sample() is asked, and how it was set up.
struct ParticleTask {
  const Problem& problem;
  int64_t draws;
  const Noise& noise;
  const Observer& observer;
  const NoiseSchedule& schedule;
  const DrawOptions& draw;
};

struct ParticleRun {
  const char* method;
  int64_t steps;
  bool evidence;  // do the weights estimate one?
  // For each particle at each step, beside one value of the prior. V^T x in singular coordinates counts as an
  // application.
  int64_t vjps, operator_applications;
  // The model of a case, for a chain with this noise
  std::function<std::unique_ptr<ParticleModel>(int64_t c, const Noise& of_chain)> model;
};

Draws run_particles(const ParticleRun& run, const ParticleOptions& options, const ParticleTask& task);

// Throws Error(method.eta) unless 0 < eta <= 1.
void require_eta(double eta);

// The sampler that hands its tasks, once y is checked, to the method's own function.
template <class Options>
class ParticleSampler final : public PosteriorSampler {
 public:
  using Run = Draws (*)(const Options& options, const ParticleTask& task);
  ParticleSampler(Run run, Options options, NoiseSchedule schedule, DrawOptions draw)
      : run_(run), options_(std::move(options)), schedule_(std::move(schedule)), draw_(draw) {}

  // Throws Error(measurement.y) for one of another shape, or not finite.
  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
    require_finite(problem.y, "measurement.y");
    return run_(options_, {problem, draws, noise, observer, schedule_, draw_});
  }

 private:
  Run run_;
  Options options_;
  NoiseSchedule schedule_;
  DrawOptions draw_;
};

// `keep` of the particles with new log weights, unbiased for every function of them: those heavier than a
// threshold stay as they are, the others are thinned systematically to equal weights (Fearnhead and Clifford
// 2003). log_weight (N), keep <= N. Returns indices (keep), ascending, and their log weights.
std::pair<Tensor, Tensor> thin(const Tensor& log_weight, int64_t keep, Noise& noise);

}  // namespace tweedie
