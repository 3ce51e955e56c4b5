// x <- x + step (D(x; t) - x) / t^2 + sqrt(2 step) z
#include "tweedie/ula.h"

#include "core/langevin.h"

#include <ATen/ATen.h>

namespace tweedie {

Ula::Ula(const UlaOptions& options) : options_(options) {
  require_chain(options.iterations, options.step, options.start_std);
}

Tensor Ula::do_step(const Denoiser& denoiser, const Tensor& x0, double t, double s, Noise& noise,
                    StepMemory&) const {
  if (s > 0) return s / t * x0;
  Tensor x = options_.start_std / t * x0;
  for (int64_t k = 0; k < options_.iterations; ++k) {
    x = langevin_move(x, (denoiser.mean(x, t) - x) / (t * t), options_.step, noise);
  }
  return x;
}

}  // namespace tweedie
