#pragma once
// Guidance: a conditioned prior is a prior. Each is a Denoiser for p(x | y) made from one for p(x), so that
// every sampler runs it; its network runs once per evaluation, value and derivative sharing the forward pass.
//   D_y(x) = D(x) + sigma^2 grad_x log p(y | x_sigma = x),   and they differ in how they approximate the
//   gradient.

#include "tweedie/posterior.h"

#include <atomic>
#include <variant>

namespace tweedie {

// Diffusion posterior sampling, Chung et al. 2023: p(y | x_sigma) ~ p(y | x_0 = D), which drops Cov[x_0 |
// x_sigma]:
//   D_y = D + sigma^2 / noise_std^2 J^T A^T (y - A D),  J = dD/dx.
// Under-dispersed and stiff at small noise.
struct DpsOptions {
  static constexpr const char* kind = "dps";
  // The paper's practical rule (its algorithm 1, zeta'): instead of the likelihood's own weight, each of 1000
  // DDPM steps moves by step_size along -grad ||y - h(D)||. It ignores noise_std. Usual values 0.3 to 1.
  std::optional<double> step_size;
};

// Moment matching posterior sampling, Rozet et al. 2024 (section 4): p(y | x_sigma) ~ N(y; A D, noise_std^2 I
// + A V A^T) with Tweedie's covariance V = sigma^2 J:
//   D_y = D + V A^T u,  (noise_std^2 I + A V A^T) u = y - A D  by conjugate gradients.
// Exact for Gaussian priors. Linear operators only.
struct MmpsOptions {
  static constexpr const char* kind = "mmps";
  int64_t iterations = 3;   // of conjugate gradients, at most: one vjp of the network each
  double tolerance = 1e-3;  // relative residual at which they stop
};

using Guidance = std::variant<DpsOptions, MmpsOptions>;

// Work and trouble counted over all threads.
struct Tally {
  std::atomic<int64_t> evaluations{0}, vjps{0}, operator_applications{0};  // in rows
  std::atomic<int64_t> solves{0},
      broken_solves{0};  // systems, and those stopped by a curvature that V forbids
};

// y: (B, *codomain), one for each row that will be denoised. tally may be null.
std::shared_ptr<const Denoiser> guide(const DpsOptions& options, std::shared_ptr<const Denoiser> prior,
                                      const GaussianLikelihood& likelihood, Tensor y, Tally* tally = nullptr);
std::shared_ptr<const Denoiser> guide(const MmpsOptions& options, std::shared_ptr<const Denoiser> prior,
                                      const GaussianLikelihood& likelihood, Tensor y, Tally* tally = nullptr);

// Any guidance, any sampler, any schedule.
class GuidedSampler final : public PosteriorSampler {
 public:
  GuidedSampler(Guidance guidance, std::shared_ptr<const Sampler> sampler, NoiseSchedule schedule,
                DrawOptions options);
  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override;

 private:
  Guidance guidance_;
  std::shared_ptr<const Sampler> sampler_;
  NoiseSchedule schedule_;
  DrawOptions options_;
};

// The posterior itself, for a Gaussian prior and a linear operator: independent exact draws and the log
// evidence.
struct ExactOptions {
  static constexpr const char* kind = "exact";
};

class ExactSampler final : public PosteriorSampler {
 public:
  explicit ExactSampler(DrawOptions options) : options_(options) {}
  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override;

 private:
  DrawOptions options_;
};

}  // namespace tweedie
