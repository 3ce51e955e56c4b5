// In time -ln(sigma) the marginals of the diffusion are those of
//   dx = (1 + eta^2) (D - x) dtime + sqrt(2) eta sigma dW
// for every eta: 0 is the probability-flow ODE, 1 the reverse SDE. It is solved exactly for D linear in time
// along a path. From level t to s with h = ln(t/s), and h' = ln(t'/t) that of the step before, from t' and
// with D':
//   E   = D + h / (2 h') (D - D')       D halfway, extrapolated; D itself at the first step
//   k   = e^-(1 + eta^2) h
//   x_s = k x + (1 - k) E + s sqrt(1 - e^(-2 eta^2 h)) z,        which is D at s = 0
#include "tweedie/dpm_solver.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

DpmSolver2m::DpmSolver2m(const DpmSolver2mOptions& options) : options_(options) {
  if (!(options.eta >= 0 && options.eta <= 1))
    throw Error("sampler.eta", fmt::format("{}, but 0 to 1 is meant", options.eta));
}

Tensor DpmSolver2m::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise& noise,
                            StepMemory& memory) const {
  const Tensor d = denoiser.mean(x, t);
  if (s == 0) return d;
  Tensor halfway = d;
  if (memory.mean.defined()) {
    halfway = d + std::log(t / s) / (2 * std::log(memory.from / t)) * (d - memory.mean);
  }
  memory.mean = d;
  memory.from = t;
  if (options_.eta == 0) return (s / t) * x + (1 - s / t) * halfway;
  const double h = std::log(t / s), eta2 = options_.eta * options_.eta;
  const double keep = std::exp(-(1 + eta2) * h), noise_std = s * std::sqrt(-std::expm1(-2 * eta2 * h));
  return keep * x + (1 - keep) * halfway + noise_std * noise.normal_like(x);
}

}  // namespace tweedie
