// In time -ln(sigma) the probability-flow ODE is dx = (D - x) dtime, solved exactly for D linear in time.
// From level t to s with h = ln(t/s), and h' = ln(t'/t) that of the step before, from t' and with D':
//   E   = D + h / (2 h') (D - D')       D halfway, extrapolated; D itself at the first step
//   x_s = e^-h x + (1 - e^-h) E,        which is D at s = 0
#include "tweedie/dpm_solver.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

Tensor DpmSolver2m::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise&,
                            StepMemory& memory) const {
  const Tensor d = denoiser.mean(x, t);
  if (s == 0) return d;
  Tensor halfway = d;
  if (memory.mean.defined()) {
    halfway = d + std::log(t / s) / (2 * std::log(memory.from / t)) * (d - memory.mean);
  }
  memory.mean = d;
  memory.from = t;
  return (s / t) * x + (1 - s / t) * halfway;
}

}  // namespace tweedie
