// In time -ln(sigma) the marginals of the diffusion are those of
//   dx = (1 + eta^2) (D - x) dtime + sqrt(2) eta sigma dW
// for every eta: 0 is the probability-flow ODE, 1 the reverse SDE. It is solved exactly for D linear in time
// along a path. From level t to s with h = ln(t/s), and h' = ln(t'/t) that of the step before, from t' and
// with D':
//   E   = D + h / (2 h') (D - D')       D halfway, extrapolated; D itself at the first step
//   k   = e^-(1 + eta^2) h = (s/t)^(1 + eta^2)
//   x_s = k x + (1 - k) E + s sqrt(1 - (s/t)^(2 eta^2)) z,       which is D at s = 0
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
  const double eta2 = options_.eta * options_.eta, keep = std::pow(s / t, 1 + eta2);
  const double noise_std = s * std::sqrt(1 - std::pow(s / t, 2 * eta2));
  const Tensor next = keep * x + (1 - keep) * halfway;
  return noise_std > 0 ? next + noise_std * noise.normal_like(x) : next;
}

}  // namespace tweedie
