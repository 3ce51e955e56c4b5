// x' = x + step g + sqrt(2 step) z with g = (D(x; t) - x) / t^2, accepted with probability
//   min(1, p_t(x') N(x; x' + step g', 2 step I) / (p_t(x) N(x'; x + step g, 2 step I)))
#include "tweedie/mala.h"

#include "core/langevin.h"
#include "tweedie/analytic_prior.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>

namespace tweedie {

Mala::Mala(const MalaOptions& options) : options_(options) {
  require_chain(options.iterations, options.step, options.start_std);
}

Tensor Mala::do_step(const Denoiser& denoiser, const Tensor& x, double t, double s, Noise& noise,
                     StepMemory& memory) const {
  const auto* prior = dynamic_cast<const AnalyticPrior*>(&denoiser);
  if (prior == nullptr) {
    throw Error("sampler.kind", "mala needs a density, which only an analytic prior has; use ula");
  }
  if (s > 0) return s / t * x;
  const Target target = [&](const Tensor& at) -> LogDensity {
    return {prior->log_prob(at, t), (prior->mean(at, t) - at) / (t * t)};
  };
  ChainState state = start_chain(target, options_.start_std / t * x);
  memory.accepted = at::zeros({x.size(0)}, at::kLong);
  memory.proposed = options_.iterations;
  for (int64_t k = 0; k < options_.iterations; ++k) {
    memory.accepted += mala_move(target, state, options_.step, noise);
  }
  return state.x;
}

}  // namespace tweedie
