// DDIM in the one coordinate, from level t to s < t, with eps = (x - D) / t:
//   v   = eta (s / t) sqrt(t^2 - s^2)
//   x_s = D(x; t) + sqrt(s^2 - v^2) eps + v z
#include "tweedie/ddim.h"

#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

Ddim::Ddim(const DdimOptions& options) : eta_(options.eta) {
  if (!(eta_ >= 0 && eta_ <= 1)) throw Error("sampler.eta", fmt::format("{}, but 0 to 1 is meant", eta_));
}

Tensor Ddim::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise& noise,
                     StepMemory&) const {
  const Tensor d = denoiser.mean(x, t);
  const double v = eta_ * (s / t) * std::sqrt(t * t - s * s);
  const Tensor next = d + (std::sqrt(s * s - v * v) / t) * (x - d);
  return v > 0 ? next + v * noise.normal_like(x) : next;
}

}  // namespace tweedie
