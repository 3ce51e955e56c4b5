// x_s = x + (s - t) (x - D(x; t)) / t,  which is D at s = 0
#include "tweedie/euler.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor Euler::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise&,
                      StepMemory&) const {
  const Tensor d = denoiser.mean(x, t);
  return s == 0 ? d : x + (s - t) / t * (x - d);
}

}  // namespace tweedie
