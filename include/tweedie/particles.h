#pragma once
// Posterior samplers by sequential Monte Carlo. MCGdiff and TDS are exact for any prior as particles and
// steps grow in number, with an unbiased estimate of the evidence of the discretised prior.

#include "tweedie/posterior.h"

namespace tweedie {

// Ways to draw N ancestors whose expected numbers of offspring are N w_i.
enum class Resampling {
  multinomial,  // independent draws
  systematic,   // one uniform: offspring within 1 of N w_i
  stratified,   // one uniform in each of N strata
  residual,     // floor(N w_i) for certain, the rest multinomial
};

// Ancestors (N) int64, ascending, from log weights (N) up to a constant. Throws Error when no weight is a
// positive finite number.
Tensor resample(const Tensor& log_weight, Resampling scheme, Noise& noise);

// (sum w)^2 / sum w^2, from log weights (N) up to a constant
double effective_sample_size(const Tensor& log_weight);

// What every particle method is told.
struct ParticleOptions {
  int64_t particles = 1024;       // of each chain
  std::optional<int64_t> chains;  // independent runs of all particles; by default as many as the draws need
  Resampling resampling = Resampling::systematic;
  double ess_threshold = 1;  // resample where the effective sample size is below this share; 1: at every step
  bool ancestors = false;    // keep the whole genealogy, not just its summary
};

// Monte Carlo guided diffusion, Cardoso, Janati, Le Corff, Moulines 2024. Linear operators; noise_std may be
// 0. In the singular coordinates of A = U diag(s) V^T a measurement is what the diffusion passes through at
// level noise_std / s_i; particles are drawn towards it until there and weighted for what that costs.
struct McgdiffOptions {
  static constexpr const char* kind = "mcgdiff";
  static constexpr int64_t default_steps = 100;
  double eta = 1;  // in (0, 1]: noise of the prior's own steps, as DDIM's
  double kappa =
      0;  // >= 0: floor of the potentials' variance, relative to 1 + level^2; the paper's code has 1e-4
  ParticleOptions smc;
};

// Twisted diffusion sampler, Wu, Trippe, Naesseth, Blei, Cunningham 2023: the proposal follows a guess
// ("twist") of p(y | x_sigma), weights make up for what it gets wrong. Any twist is right as the particles
// grow in number.
struct TdsOptions {
  static constexpr const char* kind = "tds";
  static constexpr int64_t default_steps = 100;
  enum class Twist {
    // N(y; A D, noise_std^2 I + r^2 A A^T), r^2 = sigma^2 v / (sigma^2 + v); under other than Gaussian noise
    // p(y | A D), flattened to match
    pigdm,
    dps,        // N(y; h(D), noise_std^2 I), or p(y | h(D)) under other noise
    bootstrap,  // none until the last step
  };
  Twist twist = Twist::pigdm;
  std::optional<double> data_variance;  // v, > 0; by default that of the prior
  double eta = 1;                       // in (0, 1]
  double gamma = 1;                     // > 0: the target is p(x) p(y | x)^gamma
  ParticleOptions smc;
};

// Filtering posterior sampling by SMC, Dou and Song 2024. A noisy path of y is drawn first, and particles
// filtered along it. Its weights belong to that path, so they give no evidence. The filter takes the
// measurement's noise to be new at every level, where it is the same: draws fit a noisy y too closely, the
// more so the more steps. Without noise it is exact in the limit, on average over chains.
struct FpsOptions {
  static constexpr const char* kind = "fps";
  static constexpr int64_t default_steps = 100;
  double eta = 1;  // in (0, 1]
  ParticleOptions smc;
};

std::unique_ptr<const PosteriorSampler> posterior_sampler(const McgdiffOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw);
std::unique_ptr<const PosteriorSampler> posterior_sampler(const TdsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw);
std::unique_ptr<const PosteriorSampler> posterior_sampler(const FpsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw);

}  // namespace tweedie
