// One bit: P(y = 1 | z) = F(t), t = (z - threshold) / scale, F the distribution function of the noise before
// the threshold: the logistic one (logit) or the normal one (probit; 1-bit compressed sensing). The curvature
// of log p is at most 1 / (4 scale^2) and 1 / scale^2.

#include "core/special.h"
#include "operator/entrywise_noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

class BernoulliNoise final : public EntrywiseNoise {
 public:
  explicit BernoulliNoise(const OneBit& options) : o_(options) {}
  const char* kind() const override { return "bernoulli"; }

  void require_possible(const Tensor& y, const std::string& place) const override {
    const Tensor wrong = y.ne(0).logical_and(y.ne(1));
    if (!wrong.any().item<bool>()) return;
    throw Error(place, fmt::format("{} among the labels, but bernoulli noise has 0 and 1 only",
                                   y.masked_select(wrong)[0].item<double>()));
  }

 protected:
  double log_prob_of(double y, double z, int64_t) const override {
    return y == 0 || y == 1 ? log_of(argument(y, z)) : -INFINITY;
  }
  Slope slope_of(double y, double z, int64_t) const override {
    const double t = argument(y, z), side = y == 1 ? 1 : -1, s = o_.scale;
    if (o_.link == Link::logit) return {log_of(t), side / (s * (1 + std::exp(t))), 1 / (4 * s * s)};
    const double ratio = std::exp(-0.5 * t * t - 0.5 * std::log(2 * std::numbers::pi) - log_of(t));
    return {log_of(t), side * ratio / s, 1 / (s * s)};
  }
  double draw(double z, int64_t, double u, double) const override {
    return std::log(u) < log_of(argument(1, z)) ? 1 : 0;
  }
  Split split(double y, double z, int64_t) const override {
    const double one = std::exp(log_of(argument(1, z))), zero = std::exp(log_of(argument(0, z)));
    return y == 1 ? Split{zero, one, 0} : Split{0, zero, one};
  }

 private:
  // P(y) = F(argument)
  double argument(double y, double z) const { return (y == 1 ? 1 : -1) * (z - o_.threshold) / o_.scale; }
  // log F
  double log_of(double t) const {
    if (o_.link == Link::probit) return log_normal_cdf(t);
    return t > 0 ? -std::log1p(std::exp(-t)) : t - std::log1p(std::exp(t));
  }

  OneBit o_;
};

}  // namespace

NoiseModelPtr make_bernoulli_noise(const OneBit& options) {
  require_scale(options.scale, "noise.scale");
  if (!std::isfinite(options.threshold))
    throw Error("noise.threshold", fmt::format("{}, but a finite number is needed", options.threshold));
  return std::make_shared<BernoulliNoise>(options);
}

}  // namespace tweedie
