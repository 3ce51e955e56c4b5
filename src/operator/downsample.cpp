// Averages over f x f blocks. A A^T = I / f^2, and f^2 A^T A = P is the projection onto images constant on
// blocks.

#include "operator/linear.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

Shape coarse(Shape domain, int64_t factor) {
  domain[domain.size() - 2] /= factor;
  domain.back() /= factor;
  return domain;
}

class DownsampleOperator final : public FixedShape {
 public:
  DownsampleOperator(const Shape& domain, int64_t factor)
      : FixedShape(domain, coarse(domain, factor)), factor_(factor) {}
  std::optional<Svd> svd() const override {
    const int64_t m = product(codomain()), d = product(domain());
    if (m > svd_limit / d) return std::nullopt;
    const auto f = static_cast<double>(factor_);
    return Svd{at::eye(m, at::kDouble), at::full({m}, 1 / f, at::kDouble), (f * dense()).t().contiguous()};
  }

 protected:
  double do_norm(double /*tolerance*/) const override { return 1.0 / static_cast<double>(factor_); }
  Tensor do_apply(const Tensor& x) const override {
    return at::avg_pool2d(images(x, domain()), factor_, factor_).view(with_batch(x.size(0), codomain()));
  }
  Tensor do_adjoint(const Tensor& y) const override {
    return spread(y) / static_cast<double>(factor_ * factor_);
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    const Tensor constant = spread(do_apply(b));  // P b; the rest of b is in the null space
    return (b - constant) / lambda + constant / (lambda + 1.0 / static_cast<double>(factor_ * factor_));
  }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    return b / (1.0 / static_cast<double>(factor_ * factor_) + lambda);
  }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return spread(y); }

 private:
  // (B, *shape) as (B, channels, height, width)
  static Tensor images(const Tensor& x, const Shape& shape) {
    return x.reshape({x.size(0), -1, shape[shape.size() - 2], shape.back()});
  }
  // Each value to all of its block
  Tensor spread(const Tensor& y) const {
    const int64_t h = y.size(-2), w = y.size(-1), n = y.numel() / (h * w);
    return y.reshape({n, h, 1, w, 1})
        .expand({n, h, factor_, w, factor_})
        .reshape(with_batch(y.size(0), domain()));
  }

  int64_t factor_;
};

}  // namespace

LinearOperatorPtr make_downsample(Shape domain, int64_t factor) {
  require_domain(domain, 2, "downsample.domain");
  if (factor < 1) throw Error("downsample.factor", fmt::format("{}, but >= 1 is needed", factor));
  const int64_t height = domain[domain.size() - 2], width = domain.back();
  for (const auto& [size, name] : {std::pair{height, "height"}, std::pair{width, "width"}}) {
    if (size % factor != 0) {
      throw Error("downsample.factor",
                  fmt::format("{} does not divide the image's {} {}", factor, name, size));
    }
  }
  return std::make_shared<DownsampleOperator>(domain, factor);
}

}  // namespace tweedie
