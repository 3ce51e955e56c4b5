#pragma once
// Guidance: a conditioned prior is a prior. Each is a Denoiser for p(x | y) made from one for p(x), so that
// every sampler that needs no density runs it. Its network runs once per evaluation, value and derivative
// sharing the forward pass; cfg evaluates two priors.
//   D_y(x) = D(x) + sigma^2 grad_x log p(y | x_sigma = x),   and they differ in how they approximate the
//   gradient. J = dD/dx.

#include "tweedie/posterior.h"

#include <atomic>
#include <variant>

namespace tweedie {

// Diffusion posterior sampling, Chung et al. 2023: p(y | x_sigma) ~ p(y | x_0 = D), which drops Cov[x_0 |
// x_sigma]:
//   D_y = D + sigma^2 / noise_std^2 J^T A^T (y - A D),
// or under any other noise D + sigma^2 J^T A^T grad_z log p(y | z), z = A D. Under-dispersed and stiff at
// small noise. noise_std > 0, unless step_size is given.
struct DpsOptions {
  static constexpr const char* kind = "dps";
  // The paper's practical rule (its algorithm 1, zeta') instead of the likelihood's own weight: as if each of
  // 1000 DDPM steps moved by step_size along -grad ||y - h(D)||. It ignores noise_std. Usual values 0.3 to 1.
  // Under other noise the direction is that of grad log p(y | h(D)), its length as if ||y - h(D)|| had it.
  std::optional<double> step_size;
};

// Moment matching posterior sampling, Rozet et al. 2024 (section 4): p(y | x_sigma) ~ N(y; A D, noise_std^2 I
// + A V A^T) with Tweedie's covariance V = sigma^2 J:
//   D_y = D + V A^T u,  (noise_std^2 I + A V A^T) u = y - A D  by conjugate gradients.
// Exact for Gaussian priors where the solve is. Linear operators only.
struct MmpsOptions {
  static constexpr const char* kind = "mmps";
  int64_t iterations = 3;   // of conjugate gradients, at most: one vjp of the network each
  double tolerance = 1e-3;  // relative residual at which they stop
};

// Pseudoinverse-guided diffusion, Song et al. 2023: Cov[x_0 | x_sigma] ~ r^2 I with r^2 = sigma^2 v /
// (sigma^2 + v):
//   D_y = D + sigma^2 J^T A^T (noise_std^2 I + r^2 A A^T)^{-1} (y - A D).
// Exact for priors N(m, v I). noise_std = 0 takes the pseudoinverse. Linear operators only.
struct PigdmOptions {
  static constexpr const char* kind = "pigdm";
  std::optional<double> data_variance;  // v > 0, of one coordinate of x; estimate_data_variance without it
};

// The mean variance of a coordinate of x_0. For analytic priors tr Cov[x_0] / d by Tweedie's formula at a
// noise level that outweighs the prior, over at most 256 coordinates spread evenly; for networks with the EDM
// preconditioning the sigma_data^2 they were trained with. Throws Error(method.data_variance) for others,
// which do not know it. A function of the prior alone: no randomness.
double estimate_data_variance(const Denoiser& prior);

// Tweedie moment projected diffusion, Boys et al. 2023: MMPS with A V A^T replaced by the diagonal matrix of
// its row sums, which one vjp gives (the paper's row-sum approximation):
//   D_y = D + V A^T [(y - A D) / (noise_std^2 + max(0, A V A^T 1))].
// Exact for Gaussian priors where A V A^T is diagonal. noise_std > 0. Linear operators only.
struct TmpdOptions {
  static constexpr const char* kind = "tmpd";
};

// Denoising diffusion null-space model, Wang, Yu, Zhang 2023: the measured part of D is replaced,
//   D_y = D + A^+ (y - A D).
// It ignores noise_std; ddnm-plus (tweedie/ddrm.h) does not. The paper's sampler is ddim with eta 0.85.
// Linear operators only.
struct DdnmOptions {
  static constexpr const char* kind = "ddnm";
};

// E[x_0 | x_sigma, y] itself, for an AnalyticPrior and a linear operator: what is left of a sampler's error
// is its discretisation.
struct OracleOptions {
  static constexpr const char* kind = "oracle";
};

// Classifier-free guidance (tweedie/classifier_guidance.h) between an AnalyticPrior and its oracle:
//   D_gamma = D + gamma (D_y - D).
// Unless gamma = 1 it samples neither p(x | y) nor p(x) p(y | x)^gamma.
struct CfgOptions {
  static constexpr const char* kind = "cfg";
  double scale = 1;  // gamma >= 0
};

using Guidance =
    std::variant<DpsOptions, MmpsOptions, PigdmOptions, TmpdOptions, DdnmOptions, OracleOptions, CfgOptions>;

// Work and trouble counted over all threads.
struct Tally {
  std::atomic<int64_t> evaluations{0}, vjps{0}, operator_applications{0};  // in rows
  std::atomic<int64_t> solves{0},
      broken_solves{0};  // systems, and those stopped by a curvature that V forbids
};

using DenoiserPtr = std::shared_ptr<const Denoiser>;

// y: (B, *codomain), one for each row that will be denoised. tally may be null. Throws Error naming the
// field, the noise level, the prior or the operator that the method can't do with.
DenoiserPtr guide(const DpsOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const MmpsOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const PigdmOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const TmpdOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const DdnmOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const OracleOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);
DenoiserPtr guide(const CfgOptions& options, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally = nullptr);

// Any guidance, any schedule, any sampler that needs no density.
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

// The posterior itself, for an AnalyticPrior and a linear operator: independent exact draws and the log
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
