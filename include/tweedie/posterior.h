#pragma once
// Draws from p(x | y): a problem, a method, the draws with what they cost.

#include "tweedie/gaussian_prior.h"
#include "tweedie/likelihood.h"
#include "tweedie/point_estimate.h"
#include "tweedie/progress.h"
#include "tweedie/sampler.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

// One prior and one likelihood, and one or many measurements under them.
struct Problem {
  std::shared_ptr<const Denoiser> prior;  // null for methods that look at none
  Likelihood likelihood;
  Tensor y;  // (cases, *codomain): each case is a problem of its own

  int64_t cases() const { return y.size(0); }
};

// How the particles of a run did. A chain is one independent run of all its particles.
struct ParticleRecord {
  int64_t particles = 0, chains = 0;
  Tensor ess;  // (steps + 1, chains, cases): effective sample size before resampling, of weights as then
  Tensor unique_ancestors;  // (chains, cases): particles of the first step that have descendants in the last
  Tensor log_evidence;      // (chains, cases), nats; undefined for methods that estimate none
  Tensor ancestors;         // (steps + 1, chains, cases, particles) int32, where they were asked for
};

// What a run did, per draw where it is work.
struct RunRecord {
  int64_t steps = 0;
  double network_evaluations = 0;    // denoiser values per draw
  double network_vjps = 0;           // derivatives of it per draw
  double operator_applications = 0;  // of A, A^T or vjp, per draw
  double seconds = 0;
  int64_t chains = 0;  // of Markov chain methods: draw d is of chain d / (draws / chains); 0: no chains
  std::optional<double> acceptance_rate;   // of their moves, where those can be rejected
  std::optional<int64_t> non_finite_step;  // the first step after which a value was NaN or infinite
  std::optional<ParticleRecord> particles;
  std::optional<PointRecord> point;  // of methods that give one answer instead of draws
  std::vector<std::string> warnings;
};

struct Draws {
  Tensor x;                            // (draws, cases, *shape)
  Tensor log_weight;                   // (draws, cases), 0 for methods whose draws count the same
  std::optional<Tensor> log_evidence;  // (cases), nats
  std::optional<Tensor> mean;       // (cases, *shape), the posterior mean where the method knows it exactly
  std::optional<Tensor> std;        // (cases, *shape), and its standard deviation
  std::optional<Tensor> noise_std;  // (draws, cases), of the noise level where it was unknown
  RunRecord run;
};

// How draws are computed; only dtype, device and slice_rows may change a bit of them.
struct DrawOptions {
  int64_t threads = 0;                // 0: all cores
  at::ScalarType dtype = at::kFloat;  // of the sampler's state
  at::Device device = at::kCPU;
  int64_t memory =
      0;  // bytes that particles may take; 0: no bound. More chains than fit run one after another.
  // Rows that walk together on one thread: by default 16 images, whose activations a core's cache holds, up
  // to 128 of what is smaller.
  std::optional<int64_t> slice_rows;
};

// Thrown when an observer stops a run whose partial result would be of no use.
struct Interrupted {};

class PosteriorSampler {
 public:
  virtual ~PosteriorSampler() = default;
  // Draw d of case c is a function of (noise, c, d) alone. Throws Interrupted when the observer says stop.
  virtual Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
                       const Observer& observer) const = 0;
};

// The problem with its Gaussian noise made white (whitening.h); itself where it is already, or not Gaussian
Problem whitened(const Problem& problem);
// The method run on the whitened problem, evidence and weights put back into the units of y
std::unique_ptr<const PosteriorSampler> with_whitening(std::unique_ptr<const PosteriorSampler> method);

// Walks the sampler down the schedule: draws x cases rows in slices of fixed size, each on one thread.
// conditioned(cases) gives the denoiser for rows that belong to these cases. Returns (draws, cases, *shape),
// and in record, where there is one, the first step that went non-finite and the acceptance rate.
using Conditioned = std::function<std::shared_ptr<const Denoiser>(const std::vector<int64_t>& cases)>;
Tensor draw(const Conditioned& conditioned, const Shape& shape, const Sampler& sampler,
            const NoiseSchedule& schedule, int64_t draws, int64_t cases, const Noise& noise,
            const Observer& observer, const DrawOptions& options, RunRecord* record = nullptr);

}  // namespace tweedie
