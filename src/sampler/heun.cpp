// Algorithm 2 of EDM from level t to s < t; hat(t), hat(x) are t and x after churn:
//   gamma  = min(S_churn / N, sqrt(2) - 1) if S_min <= t <= S_max, else 0
//   hat(t) = (1 + gamma) t,   hat(x) = x + S_noise sqrt(hat(t)^2 - t^2) z
//   d      = (hat(x) - D(hat(x); hat(t))) / hat(t),   x_s = hat(x) + (s - hat(t)) d,  which is D at s = 0
//   if s > 0:  d_end = (x_s - D(x_s; s)) / s,   x_s = hat(x) + (s - hat(t)) (d + d_end) / 2
// In flow's coordinate the step from hat(t) is the same for time r = sigma / (1 + sigma), state x_r = (1 - r)
// x and velocity v = E[eps - x_0 | x_r] = (x - D) / sigma - D, which is -x at r = 0.
#include "tweedie/heun.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

Tensor velocity(const Denoiser& denoiser, const Tensor& x, double sigma) {
  if (sigma == 0) return -x;
  const Tensor denoised = denoiser.mean(x, sigma);
  return (x - denoised) / sigma - denoised;
}

Tensor flow_step(const Denoiser& denoiser, const Tensor& x, double t, double s) {
  const double step = s / (1 + s) - t / (1 + t);
  const Tensor from = x / (1 + t), v = velocity(denoiser, x, t);
  const Tensor euler = from + step * v;
  const Tensor v_end = velocity(denoiser, (1 + s) * euler, s);
  return (1 + s) * (from + step / 2 * (v + v_end));
}

}  // namespace

Heun::Heun(const HeunOptions& options, int64_t steps) : options_(options) {
  if (steps < 1) throw Error("sampler.steps", fmt::format("{}, but at least 1 is needed", steps));
  if (!(options.s_churn >= 0 && std::isfinite(options.s_churn))) {
    throw Error("sampler.s_churn",
                fmt::format("{}, but a finite value of at least 0 is needed", options.s_churn));
  }
  if (!(options.s_noise > 0 && std::isfinite(options.s_noise))) {
    throw Error("sampler.s_noise", fmt::format("{}, but a finite value above 0 is needed", options.s_noise));
  }
  if (!(options.s_min <= options.s_max)) {
    throw Error("sampler.s_min",
                fmt::format("{}, but at most s_max = {} is needed", options.s_min, options.s_max));
  }
  gamma_ = std::min(options.s_churn / static_cast<double>(steps), std::numbers::sqrt2 - 1);
}

Tensor Heun::do_step(const Denoiser& denoiser, const Tensor& x0, double t, double s, Noise& noise,
                     StepMemory&) const {
  const double gamma = options_.s_min <= t && t <= options_.s_max ? gamma_ : 0;
  const double t_hat = (1 + gamma) * t;
  Tensor x = x0;
  if (gamma > 0) x = x + options_.s_noise * std::sqrt(t_hat * t_hat - t * t) * noise.normal_like(x);

  if (options_.coordinate == HeunOptions::Coordinate::flow) return flow_step(denoiser, x, t_hat, s);
  const Tensor denoised = denoiser.mean(x, t_hat);
  if (s == 0) return denoised;
  const Tensor d = (x - denoised) / t_hat;
  const Tensor euler = x + (s - t_hat) * d;
  const Tensor d_end = (euler - denoiser.mean(euler, s)) / s;
  return x + (s - t_hat) / 2 * (d + d_end);
}

}  // namespace tweedie
