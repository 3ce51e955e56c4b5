#include "tweedie/sampler.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

Tensor Sampler::step(const Denoiser& denoiser, const Tensor& x, double from, double to, Noise& noise) const {
  StepMemory memory;
  return step(denoiser, x, from, to, noise, memory);
}

Tensor Sampler::step(const Denoiser& denoiser, const Tensor& x, double from, double to, Noise& noise,
                     StepMemory& memory) const {
  if (!(to >= 0 && to < from && std::isfinite(from))) {
    throw Error("sampler.step",
                fmt::format("from level {} to {}, but a step goes down, to 0 at the least", from, to));
  }
  const at::NoGradGuard no_grad;
  return do_step(denoiser, x, from, to, noise, memory);
}

Tensor walk(const Denoiser& denoiser, const Sampler& sampler, const NoiseSchedule& schedule, Tensor x,
            Noise& noise) {
  const double* sigma = schedule.sigma.data_ptr<double>();
  StepMemory memory;
  for (int64_t i = 0; i < schedule.steps(); ++i)
    x = sampler.step(denoiser, x, sigma[i], sigma[i + 1], noise, memory);
  return x;
}

}  // namespace tweedie
