// y = x

#include "operator/linear.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>

namespace tweedie {
namespace {

class IdentityOperator final : public FixedShape {
 public:
  explicit IdentityOperator(const Shape& domain) : FixedShape(domain, domain) {}
  std::optional<Svd> svd() const override {
    const int64_t d = product(domain());
    if (d > svd_limit / d) return std::nullopt;
    const Tensor eye = at::eye(d, at::kDouble);
    return Svd{eye, at::ones({d}, at::kDouble), eye};
  }

 protected:
  double do_norm(double /*tolerance*/) const override { return 1; }
  Tensor do_apply(const Tensor& x) const override { return x; }
  Tensor do_adjoint(const Tensor& y) const override { return y; }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override { return b / (1 + lambda); }
  Tensor do_solve_gram(const Tensor& b, double lambda) const override { return b / (1 + lambda); }
  Tensor do_pseudo_inverse(const Tensor& y) const override { return y; }
};

}  // namespace

LinearOperatorPtr make_identity(Shape domain) {
  require_domain(domain, 1, "identity.domain");
  return std::make_shared<IdentityOperator>(domain);
}

}  // namespace tweedie
