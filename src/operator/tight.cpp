#include "operator/tight.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

double TightOperator::do_norm(double /*tolerance*/) const {
  return std::sqrt(c_);
}

std::optional<Svd> TightOperator::svd() const {
  const int64_t m = product(codomain()), d = product(domain());
  if (m > svd_limit / d) return std::nullopt;
  const double s = std::sqrt(c_);
  return Svd{at::eye(m, at::kDouble), at::full({m}, s, at::kDouble), (dense() / s).t().contiguous()};
}

// In float64, since lambda may be far below c.
Tensor TightOperator::do_solve_normal(const Tensor& b, double lambda) const {
  if (product(codomain()) == product(domain())) return b / (c_ + lambda);
  const Tensor wide = b.to(at::kDouble);
  return ((wide - do_adjoint(do_apply(wide)) / (c_ + lambda)) / lambda).to(b.scalar_type());
}

Tensor TightOperator::do_solve_gram(const Tensor& b, double lambda) const {
  return b / (c_ + lambda);
}

Tensor TightOperator::do_pseudo_inverse(const Tensor& y) const {
  return do_adjoint(y) / c_;
}

}  // namespace tweedie
