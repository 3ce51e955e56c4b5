#include "operator/counting_noise.h"

#include "core/special.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

CountingNoise::CountingNoise(const Counting& counting)
    : gain_(counting.gain), scaled_(counting.scaled), background_{0} {
  require_scale(gain_, "noise.gain");
  if (!counting.background.defined()) return;
  const Tensor b = counting.background.to(at::kCPU, at::kDouble).contiguous().flatten();
  background_.assign(b.data_ptr<double>(), b.data_ptr<double>() + b.numel());
  for (const double value : background_) {
    if (!(value >= 0 && std::isfinite(value)))
      throw Error("noise.background", fmt::format("{}, but finite numbers >= 0 are needed", value));
  }
}

CountingNoise::Slope CountingNoise::slope_of(double y, double z, int64_t i) const {
  const double counts = counts_of(y), at = line(z, i), least = std::max(0.0, counts) / 10;
  const InRate p = in_rate(counts, std::max(at, least));
  const double derivative = at > least ? p.derivative : std::max(0.0, p.derivative);
  return {p.value + std::min(0.0, at - least) * derivative, gain_ * derivative,
          gain_ * gain_ * information_of(counts)};
}

double log_poisson(double k, double rate) {
  if (k < 0) return -INFINITY;
  if (rate <= 0) return k == 0 ? 0 : -INFINITY;
  return k * std::log(rate) - rate - std::lgamma(k + 1);
}

double poisson_quantile(double u, double rate) {
  if (rate <= 0) return 0;
  double k = 0, below = 0;  // P(K < k)
  if (rate > 20) {          // from the Cornish-Fisher expansion, a few steps off
    const double n = normal_quantile(u);
    k = std::max(0.0, std::floor(rate + std::sqrt(rate) * n + (n * n - 1) / 6));
    below = k > 0 ? chi2_tail(2 * rate, 2 * k) : 0;
    while (k > 0 && below >= u) {
      --k;
      below -= std::exp(log_poisson(k, rate));
    }
  }
  for (double mass = std::exp(log_poisson(k, rate)); below + mass < u && mass > 1e-18;) {
    below += mass;
    ++k;
    mass *= rate / k;
  }
  return k;
}

}  // namespace tweedie
