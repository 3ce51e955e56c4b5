// y = z + scale n, n Laplace's: log p = -|y - z| / scale - log(2 scale). The derivative at z = y is 0.

#include "operator/entrywise_noise.h"

#include <cmath>

namespace tweedie {

namespace {

class LaplaceNoise final : public EntrywiseNoise {
 public:
  explicit LaplaceNoise(double scale) : scale_(scale) {}
  const char* kind() const override { return "laplace"; }

 protected:
  double log_prob_of(double y, double z, int64_t) const override {
    return -std::abs(y - z) / scale_ - std::log(2 * scale_);
  }
  Slope slope_of(double y, double z, int64_t i) const override {
    const double side = y > z ? 1 : y < z ? -1 : 0;
    return {log_prob_of(y, z, i), side / scale_, 1 / (scale_ * scale_)};
  }
  double draw(double z, int64_t, double u, double) const override {
    return u < 0.5 ? z + scale_ * std::log(2 * u) : z - scale_ * std::log(2 * (1 - u));
  }
  Split split(double y, double z, int64_t) const override {
    const double tail = 0.5 * std::exp(-std::abs(y - z) / scale_);
    return y < z ? Split{tail, 0, 1 - tail} : Split{1 - tail, 0, tail};
  }

 private:
  double scale_;
};

}  // namespace

NoiseModelPtr make_laplace_noise(double scale) {
  require_scale(scale, "noise.scale");
  return std::make_shared<LaplaceNoise>(scale);
}

}  // namespace tweedie
