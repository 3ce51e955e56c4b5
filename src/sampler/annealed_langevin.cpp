// At level t, `iterations` times:  x <- x + step t^2 (D - x) / t^2 + sqrt(2 step) t z.  The next level takes
// x as it is; after the last, x <- D(x; t) if asked.
#include "tweedie/annealed_langevin.h"

#include "core/langevin.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

AnnealedLangevin::AnnealedLangevin(const AnnealedLangevinOptions& options) : options_(options) {
  if (options.iterations < 1) {
    throw Error("sampler.iterations", fmt::format("{}, but at least 1 is needed", options.iterations));
  }
  if (!(options.step > 0 && std::isfinite(options.step))) {
    throw Error("sampler.step", fmt::format("{}, but a finite value above 0 is needed", options.step));
  }
}

Tensor AnnealedLangevin::do_step(const Denoiser& denoiser, const Tensor& x0, double t, double s, Noise& noise,
                                 StepMemory&) const {
  Tensor x = x0;
  for (int64_t k = 0; k < options_.iterations; ++k) {
    const Tensor score = (denoiser.mean(x, t) - x) / (t * t);
    x = langevin_move(x, score, options_.step * t * t, noise);
  }
  return s == 0 && options_.denoise ? denoiser.mean(x, t) : x;
}

}  // namespace tweedie
