// y = z + scale t: log p = log Gamma((f + 1) / 2) - log Gamma(f / 2) - log(f pi) / 2 - log scale
//                        - (f + 1) / 2 log(1 + r^2 / f),   r = (y - z) / scale, f the degrees of freedom.
// Its curvature is largest at r = 0, (f + 1) / (f scale^2), and negative beyond r^2 = f.

#include "core/special.h"
#include "operator/entrywise_noise.h"

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

class StudentNoise final : public EntrywiseNoise {
 public:
  StudentNoise(double freedom, double scale)
      : freedom_(freedom),
        scale_(scale),
        constant_(std::lgamma((freedom + 1) / 2) - std::lgamma(freedom / 2) -
                  0.5 * std::log(freedom * std::numbers::pi) - std::log(scale)) {}
  const char* kind() const override { return "student"; }

 protected:
  double log_prob_of(double y, double z, int64_t) const override {
    const double r = (y - z) / scale_;
    return constant_ - (freedom_ + 1) / 2 * std::log1p(r * r / freedom_);
  }
  Slope slope_of(double y, double z, int64_t i) const override {
    const double r = (y - z) / scale_;
    return {log_prob_of(y, z, i), (freedom_ + 1) * r / ((freedom_ + r * r) * scale_),
            (freedom_ + 1) / (freedom_ * scale_ * scale_)};
  }
  double draw(double z, int64_t, double u, double) const override {
    return z + scale_ * student_t_quantile(u, freedom_);
  }
  Split split(double y, double z, int64_t) const override {
    const double r = (y - z) / scale_;
    return {student_t_tail(-r, freedom_), 0, student_t_tail(r, freedom_)};
  }

 private:
  double freedom_, scale_, constant_;
};

}  // namespace

NoiseModelPtr make_student_noise(double freedom, double scale) {
  require_scale(freedom, "noise.freedom");
  require_scale(scale, "noise.scale");
  return std::make_shared<StudentNoise>(freedom, scale);
}

}  // namespace tweedie
