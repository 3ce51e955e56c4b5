// DDIM in the one coordinate, from level t to s < t, with eps = (x - D) / t:
//   v   = eta (s / t) sqrt(t^2 - s^2)
//   x_s = D(x; t) + sqrt(s^2 - v^2) eps + v z
// For x_0 of variance V given x, which is lambda t^2 / (lambda + t^2) for data N(m, lambda I), the true x_s
// is
//   x_0 + sqrt(s^2 - v^2) (x - x_0) / t + v z,  so V (1 - sqrt(s^2 - v^2) / t)^2  is added to v^2
//   (data_variance).
#include "tweedie/ddim.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

Ddim::Ddim(const DdimOptions& options) : options_(options) {
  const auto& [eta, variance] = options;
  if (!(eta >= 0 && eta <= 1)) throw Error("sampler.eta", fmt::format("{}, but 0 to 1 is meant", eta));
  if (variance && !(*variance >= 0 && std::isfinite(*variance))) {
    throw Error("sampler.data_variance",
                fmt::format("{}, but a finite value of at least 0 is needed", *variance));
  }
}

Tensor Ddim::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise& noise,
                     StepMemory&) const {
  const Tensor d = denoiser.mean(x, t);
  const double v = options_.eta * (s / t) * std::sqrt(t * t - s * s);
  const double keep = std::sqrt(s * s - v * v) / t;
  double noise_std = v;
  if (const auto lambda = options_.data_variance) {
    const double left_out = *lambda * t * t / (*lambda + t * t);
    noise_std = std::sqrt(v * v + (1 - keep) * (1 - keep) * left_out);
  }
  const Tensor next = d + keep * (x - d);
  return noise_std > 0 ? next + noise_std * noise.normal_like(x) : next;
}

Tensor ddim_invert(const Denoiser& denoiser, const NoiseSchedule& schedule, Tensor x) {
  const double* sigma = schedule.sigma.data_ptr<double>();
  for (int64_t i = schedule.steps() - 1; i > 0; --i) {
    const Tensor d = denoiser.mean(x, sigma[i]);
    x = d + (sigma[i - 1] / sigma[i]) * (x - d);
  }
  return x;
}

}  // namespace tweedie
