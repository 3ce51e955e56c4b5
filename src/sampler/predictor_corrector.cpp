// x_s from DDIM; then, unless s = 0, `corrections` times with g = (D(x; s) - x) / s^2
//   x <- x + a g + sqrt(2 a) z,   a = tau s^2   or, by signal-to-noise ratio,   a = 2 (snr |z| / |g|)^2
// There |g| is each row's own, where Song et al. take the mean over a batch, and |z|^2 is its mean, d.
#include "tweedie/predictor_corrector.h"

#include "core/langevin.h"
#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

PredictorCorrector::PredictorCorrector(const PredictorCorrectorOptions& options)
    : options_(options), predictor_({.eta = options.eta}) {
  if (options.corrections < 0) {
    throw Error("sampler.corrections", fmt::format("{}, but at least 0 is needed", options.corrections));
  }
  if (!(options.tau > 0 && options.tau <= 1)) {
    throw Error("sampler.tau", fmt::format("{}, but a value above 0, at most 1, is needed", options.tau));
  }
  if (options.snr && !(*options.snr > 0 && std::isfinite(*options.snr))) {
    throw Error("sampler.snr", fmt::format("{}, but a finite value above 0 is needed", *options.snr));
  }
}

Tensor PredictorCorrector::do_step(const Denoiser& denoiser, const Tensor& x0, double t, double s,
                                   Noise& noise, StepMemory&) const {
  StepMemory own;
  Tensor x = predictor_.step(denoiser, x0, t, s, noise, own);
  if (s == 0) return x;
  for (int64_t k = 0; k < options_.corrections; ++k) {
    const Tensor score = (denoiser.mean(x, s) - x) / (s * s);
    if (options_.snr) {
      const auto d = static_cast<double>(product(denoiser.shape()));
      const Tensor step = 2 * *options_.snr * *options_.snr * d / row_dot(score, score);
      x = langevin_move(x, score, step.clamp_max(s * s), noise);
    } else {
      x = langevin_move(x, score, options_.tau * s * s, noise);
    }
  }
  return x;
}

}  // namespace tweedie
