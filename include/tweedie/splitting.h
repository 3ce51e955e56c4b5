#pragma once
// Posterior samplers that split p(x | y): a step that knows only the data and a step that knows only the
// prior, in turn. None needs a derivative of the network, but DAPS for Tweedie's spread. DAPS and PnP-DM need
// noise_std > 0; DiffPIR takes linear operators only.

#include "tweedie/posterior.h"

namespace tweedie {

// How z ~ p(y | z) N(z; x, r^2 I) is drawn.
enum class InnerDraw {
  exact,     // linear operators, Gaussian noise: a draw of that Gaussian
  langevin,  // any operator: Langevin from x + r n, unadjusted; under other than Gaussian noise MALA
};
struct InnerOptions {
  std::optional<InnerDraw> inner;  // not given: exact for linear operators and Gaussian noise, else langevin
  int64_t inner_steps = 100;       // of langevin, >= 1
  // of langevin, in (0, 1]: a step times the largest curvature ||dh/dx||^2 / noise_std^2 + 1 / r^2, which for
  // an operator that is not linear is estimated where the chain is, up to four times. Variances come out too
  // large by a factor of up to 1 / (1 - inner_step / 2).
  double inner_step = 0.1;
};

// DiffPIR, Zhu et al. 2023: D is moved towards the data, then DDIM goes on from there.
//   z = argmin ||y - A z||^2 + lambda noise_std^2 / sigma^2 ||z - D||^2,   exact where Cov[x_0 | x_sigma] =
//   sigma^2 / lambda I
struct DiffpirOptions {
  static constexpr const char* kind = "diffpir";
  static constexpr int64_t default_steps = 100;
  double lambda = 1;   // > 0: trust in the prior
  double zeta = 0.25;  // in [0, 1]: the part of each level's noise that is new (1: all)
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const DiffpirOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options);

// DAPS, Zhang et al. 2024 (decoupled annealing): at each level x_0 ~ p(y | x_0) N(x_0; x_hat, r^2 I), then x
// = x_0 + sigma n at the next. Exact for priors N(m, v I) as it stands.
struct DapsOptions {
  static constexpr const char* kind = "daps";
  static constexpr int64_t default_steps = 100;
  enum class Spread {
    tweedie,  // r^2 = tr V / d, V = Cov[x_0 | x_sigma]
    sigma,    // r = sigma, as published: too wide at large sigma
  };
  Spread spread = Spread::tweedie;
  // Tweedie: random probes v of tr V = sigma^2 E v^T J v, one vjp each, >= 1. Analytic priors of up to 64
  // dimensions take the whole trace.
  int64_t probes = 1;
  // x_hat: Euler steps of the probability-flow ODE, >= 1. One gives D, whose spread r is; the paper takes 5.
  int64_t ode_steps = 1;
  InnerOptions inner;
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const DapsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw_options);

// PnP-DM, Wu et al. 2024 (split Gibbs): z ~ p(y | z) N(z; x, rho^2 I), then x ~ p(x_0 |
// x_rho = z) by the prior's reverse SDE. At fixed rho and for a linear h its stationary law is the posterior
// under noise of covariance noise_std^2 I + rho^2 A A^T. rho goes down the schedule.
struct PnpDmOptions {
  static constexpr const char* kind = "pnp-dm";
  static constexpr int64_t default_steps = 100;
  double rho_min = 0.05;  // > 0: levels below it are raised to it
  // Ancestral steps from level rho to 0, >= 1. They lose O(1 / reverse_steps) of the variance.
  int64_t reverse_steps = 20;
  InnerOptions inner;
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const PnpDmOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw_options);

}  // namespace tweedie
