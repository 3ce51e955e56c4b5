#pragma once
// Operators with A A^T = c I, c > 0: rows that are orthogonal and of one length. Then c^{-1} A^T A is a
// projection, and
//   (A A^T + lambda I)^{-1} = 1 / (c + lambda),  (A^T A + lambda I)^{-1} = (I - A^T A / (c + lambda)) /
//   lambda, A^+ = A^T / c,  A = I sqrt(c) (A / sqrt(c)).

#include "operator/linear.h"

namespace tweedie {

class TightOperator : public FixedShape {
 public:
  TightOperator(Shape domain, Shape codomain, double c)
      : FixedShape(std::move(domain), std::move(codomain)), c_(c) {}
  std::optional<Svd> svd() const override;

 protected:
  double do_norm(double /*tolerance*/) const override;
  Tensor do_solve_normal(const Tensor& b, double lambda) const override;
  Tensor do_solve_gram(const Tensor& b, double lambda) const override;
  Tensor do_pseudo_inverse(const Tensor& y) const override;

 private:
  double c_;
};

}  // namespace tweedie
