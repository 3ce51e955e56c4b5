// Counts: log p(k | rate) = k log rate - rate - log k!, of curvature k / rate^2 in the rate.
// P(K <= k) = P(chi2_{2 (k + 1)} > 2 rate).

#include "core/special.h"
#include "operator/counting_noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// From a whole number: files in float32, divided by a gain, hold counts only so well
double slack(double counts) {
  return 1e-3 + 1e-6 * std::abs(counts);
}

class PoissonNoise final : public CountingNoise {
 public:
  explicit PoissonNoise(const Counting& counting) : CountingNoise(counting), counting_(counting) {}
  const char* kind() const override { return "poisson"; }
  const Counting* counting() const override { return &counting_; }

  void require_possible(const Tensor& y, const std::string& place) const override {
    const Tensor flat = y.to(at::kCPU, at::kDouble).contiguous();
    const auto* value = flat.data_ptr<double>();
    for (int64_t i = 0; i < flat.numel(); ++i) {
      const double counts = counts_of(value[i]);
      if (std::isfinite(counts) && counts >= -slack(0) &&
          std::abs(counts - std::round(counts)) <= slack(counts))
        continue;
      throw Error(place, fmt::format("{}{} among the counts, but poisson noise has whole numbers >= 0{}",
                                     value[i], scaled() ? fmt::format(" times the gain {}", gain()) : "",
                                     counts < -slack(0) ? "" : "; poisson-gaussian takes any"));
    }
  }

 protected:
  double log_prob_of(double y, double z, int64_t i) const override {
    const double counts = counts_of(y), k = std::round(counts);
    return std::abs(counts - k) <= slack(counts) ? log_poisson(k + 0.0, rate(z, i)) : -INFINITY;
  }
  InRate in_rate(double counts, double rate) const override {
    const double k = std::round(counts);
    return {log_poisson(k, rate), k == 0 ? -1 : k / rate - 1};
  }
  double information_of(double counts) const override { return 1 / std::max(counts, 1.0); }
  double draw(double z, int64_t i, double u, double) const override {
    return y_of(poisson_quantile(u, rate(z, i)));
  }
  Split split(double y, double z, int64_t i) const override {
    const double k = std::round(counts_of(y)), r = rate(z, i);
    if (k < 0) return {0, 0, 1};
    if (r <= 0) return k == 0 ? Split{0, 1, 0} : Split{1, 0, 0};
    return {k == 0 ? 0 : chi2_tail(2 * r, 2 * k), std::exp(log_poisson(k, r)), chi2_cdf(2 * r, 2 * (k + 1))};
  }

 private:
  Counting counting_;
};

}  // namespace

NoiseModelPtr make_poisson_noise(const Counting& counting) {
  return std::make_shared<PoissonNoise>(counting);
}

}  // namespace tweedie
