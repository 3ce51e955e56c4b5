// From level t to s < t, where x_t = x_s + noise of variance t^2 - s^2:
//   x_s = D + (s/t)^2 (x - D) + v z                   mean of x_s given x_t and x_0 = D
//   small:  v^2 = (s/t)^2 (t^2 - s^2)                 its variance
//   learned: log v between log small and log large by the model's range
//   large:  v^2 = (t^2 - s^2) (u^2 + s^2) / (u^2 + t^2)   u^2 beta = u^2 (1 - alpha_t^2 / alpha_s^2) in units
//                                                     of alpha_s, alpha^2 = 1 / (1 + (sigma / u)^2): a VP
//                                                     path on x / u. u = 1, or sigma_data where learned
// The last step adds no noise.
#include "tweedie/ddpm.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

namespace {

double noise_std(DdpmOptions::Variance variance, double t, double s, double u = 1) {
  const double added = (t - s) * (t + s);
  switch (variance) {
    case DdpmOptions::Variance::small:
      return s / t * std::sqrt(added);
    case DdpmOptions::Variance::large:
      return std::sqrt(added * (u * u + s * s) / (u * u + t * t));
    case DdpmOptions::Variance::learned:
      break;
  }
  return 0;
}

}  // namespace

Tensor Ddpm::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise& noise,
                     StepMemory&) const {
  if (variance_ != DdpmOptions::Variance::learned || s == 0) {
    const Tensor d = denoiser.mean(x, t);
    if (s == 0) return d;
    return d + (s / t) * (s / t) * (x - d) + noise_std(variance_, t, s) * noise.normal_like(x);
  }
  const auto [d, range, data_std] = denoiser.mean_and_range(x, t);
  const double small = std::log(noise_std(DdpmOptions::Variance::small, t, s)),
               large = std::log(noise_std(DdpmOptions::Variance::large, t, s, data_std));
  return d + (s / t) * (s / t) * (x - d) + (small + range * (large - small)).exp() * noise.normal_like(x);
}

}  // namespace tweedie
