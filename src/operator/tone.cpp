// What a detector does to each value: it saturates, and it counts in steps.

#include "core/shape.h"
#include "operator/linear.h"
#include "tweedie/nonlinear_operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {
namespace {

class Pointwise : public ForwardOperator {
 public:
  explicit Pointwise(Shape domain) : domain_(std::move(domain)) {}
  Shape domain() const final { return domain_; }
  Shape codomain() const final { return domain_; }

 private:
  Shape domain_;
};

class Saturation final : public Pointwise {
 public:
  Saturation(Shape domain, ToneCurve curve, double gain, double low, double high)
      : Pointwise(std::move(domain)), curve_(curve), gain_(gain), low_(low), high_(high) {}

 protected:
  Tensor do_apply(const Tensor& x) const override {
    if (curve_ == ToneCurve::clip) return (gain_ * x).clamp(low_, high_);
    return centre() + radius() * curved(x);
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    if (curve_ == ToneCurve::clip) {
      const Tensor y = gain_ * x;
      return at::where(y.gt(low_).logical_and(y.lt(high_)), gain_ * v, at::zeros_like(v));
    }
    return gain_ * v * (1 - curved(x).square());
  }

 private:
  double centre() const { return (low_ + high_) / 2; }
  double radius() const { return (high_ - low_) / 2; }
  Tensor curved(const Tensor& x) const { return ((gain_ * x - centre()) / radius()).tanh(); }

  ToneCurve curve_;
  double gain_, low_, high_;
};

class Quantisation final : public Pointwise {
 public:
  Quantisation(Shape domain, int64_t levels, double low, double high, QuantiserDerivative derivative)
      : Pointwise(std::move(domain)),
        low_(low),
        high_(high),
        step_((high - low) / static_cast<double>(levels - 1)),
        straight_through_(derivative == QuantiserDerivative::straight_through) {}
  bool has_surrogate_derivative() const override { return straight_through_; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    return ((x.clamp(low_, high_) - low_) / step_).round() * step_ + low_;
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    if (!straight_through_) return at::zeros_like(v);
    return at::where(x.ge(low_).logical_and(x.le(high_)), v, at::zeros_like(v));
  }

 private:
  double low_, high_, step_;
  bool straight_through_;
};

void require_range(double low, double high, const char* kind) {
  if (std::isfinite(low) && std::isfinite(high) && low < high) return;
  throw Error(fmt::format("{}.high", kind),
              fmt::format("{}, but a finite number above low = {} is needed", high, low));
}

}  // namespace

ForwardOperatorPtr make_saturation(Shape domain, ToneCurve curve, double gain, double low, double high) {
  require_domain(domain, 1, "saturation.domain");
  require_range(low, high, "saturation");
  if (!(gain > 0) || !std::isfinite(gain)) {
    throw Error("saturation.gain", fmt::format("{}, but a finite number above 0 is needed", gain));
  }
  return std::make_shared<Saturation>(std::move(domain), curve, gain, low, high);
}

ForwardOperatorPtr make_quantisation(Shape domain, int64_t levels, double low, double high,
                                     QuantiserDerivative derivative) {
  require_domain(domain, 1, "quantisation.domain");
  require_range(low, high, "quantisation");
  if (levels < 2 || levels > (int64_t{1} << 24)) {
    throw Error("quantisation.levels", fmt::format("{}, but 2 to 2^24 is needed", levels));
  }
  return std::make_shared<Quantisation>(std::move(domain), levels, low, high, derivative);
}

}  // namespace tweedie
