#pragma once
// Noise levels for a sampler to walk down, all in the one coordinate x_sigma = x + sigma n.

#include "tweedie/tensor.h"

#include <variant>

namespace tweedie {

struct NoiseSchedule {
  Tensor sigma;        // (steps + 1) float64, strictly decreasing, last 0
  double initial_std;  // standard deviation of the starting point x_{sigma[0]}, per coordinate

  int64_t steps() const { return sigma.numel() - 1; }
};

// Karras et al. 2022 (EDM), eq. 5: sigma_i = (max^(1/rho) + i/(N-1) (min^(1/rho) - max^(1/rho)))^rho, then 0.
struct Karras {
  static constexpr const char* kind = "karras";
  double sigma_min = 0.002;
  double sigma_max = 80;
  double rho = 7;
};

// Song et al. 2021 (score SDE), VE: sigma_i = max (min / max)^(i / (N-1)), then 0.
struct GeometricVe {
  static constexpr const char* kind = "ve";
  double sigma_min = 0.01;
  double sigma_max = 50;
};

// Flow matching's x_t = (1 - t) x_0 + t eps: t uniform from t_max to 0, sigma = t / (1 - t). The start is
// x_t = N(0, I) at t_max.
struct UniformFlow {
  static constexpr const char* kind = "flow";
  double t_max = 0.999;  // in (0, 1): sigma is infinite at 1
};

// Variance preserving: alpha-bar_t = prod (1 - beta) over train_steps, alpha-bar_0 = 1, and sigma = sqrt((1 -
// alpha-bar) / alpha-bar). Level k of N is t = round(train_steps k / N). The start is x_T = N(0, I) /
// sqrt(alpha-bar_T).

// Ho et al. 2020 (DDPM): beta linear in t.
struct VpLinear {
  static constexpr const char* kind = "vp-linear";
  double beta_start = 1e-4;
  double beta_end = 0.02;
  int64_t train_steps = 1000;
};

// Rombach et al. 2022 (latent diffusion): sqrt(beta) linear in t.
struct VpScaledLinear {
  static constexpr const char* kind = "vp-scaled-linear";
  double beta_start = 0.00085;
  double beta_end = 0.012;
  int64_t train_steps = 1000;
};

// Nichol and Dhariwal 2021, eq. 17: alpha-bar_t = f(t) / f(0), f(t) = cos^2(pi / 2 (t / T + s) / (1 + s)), no
// beta above max_beta.
struct Cosine {
  static constexpr const char* kind = "cosine";
  double s = 0.008;         // in [0, 1]
  double max_beta = 0.999;  // in (0, 1)
  int64_t train_steps = 1000;
};

// alpha-bar_t for t = 0 .. train_steps, (train_steps + 1) float64
Tensor alpha_bar(const VpLinear& options);
Tensor alpha_bar(const VpScaledLinear& options);
Tensor alpha_bar(const Cosine& options);

template <class Options>
concept VariancePreserving = requires(const Options& options) {
  alpha_bar(options);
};

using Schedule = std::variant<Karras, VpLinear, VpScaledLinear, Cosine, GeometricVe, UniformFlow>;

NoiseSchedule make_schedule(const Schedule& schedule, int64_t steps);
NoiseSchedule make_schedule(const Karras& options, int64_t steps);
NoiseSchedule make_schedule(const GeometricVe& options, int64_t steps);
NoiseSchedule make_schedule(const UniformFlow& options, int64_t steps);
// VP: steps at most train_steps
NoiseSchedule make_schedule(const VpLinear& options, int64_t steps);
NoiseSchedule make_schedule(const VpScaledLinear& options, int64_t steps);
NoiseSchedule make_schedule(const Cosine& options, int64_t steps);

}  // namespace tweedie
