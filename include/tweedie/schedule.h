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

// Ho et al. 2020 (DDPM): beta linear from beta_start to beta_end over train_steps; alpha-bar_t = prod (1 -
// beta). Level k of N is t = round(train_steps k / N), alpha-bar_0 = 1; sigma = sqrt((1 - alpha-bar) /
// alpha-bar). The start is x_T = N(0, I) / sqrt(alpha-bar_T).
struct VpLinear {
  static constexpr const char* kind = "vp-linear";
  double beta_start = 1e-4;
  double beta_end = 0.02;
  int64_t train_steps = 1000;
};

using Schedule = std::variant<Karras, VpLinear>;

NoiseSchedule make_schedule(const Schedule& schedule, int64_t steps);
NoiseSchedule make_schedule(const Karras& options, int64_t steps);
NoiseSchedule make_schedule(const VpLinear& options, int64_t steps);

// alpha-bar_t for t = 0 .. train_steps, (train_steps + 1) float64
Tensor alpha_bar(const VpLinear& options);

}  // namespace tweedie
