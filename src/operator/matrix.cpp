// y = A x with A given entry by entry. With A = U diag(s) V^T,
//   (A^T A + lambda I)^{-1} = V diag(1 / (s^2 + lambda)) V^T + (I - V V^T) / lambda.

#include "core/rows.h"
#include "operator/linear.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {
namespace {

class MatrixOperator final : public FixedShape {
 public:
  MatrixOperator(const Shape& domain, const Tensor& a)
      : FixedShape(domain, {a.size(0)}), a_(a), transposed_(a.t().contiguous()) {}

  // Computed at the first call, without the singular values that are zero to rounding.
  std::optional<Svd> svd() const override {
    std::call_once(svd_once_, [&] { svd_ = thin_svd(a_.as(at::kDouble, at::kCPU)); });
    return svd_;
  }

 protected:
  Tensor do_apply(const Tensor& x) const override { return row_matmul(x.flatten(1), transposed_.like(x)); }
  Tensor do_adjoint(const Tensor& y) const override {
    return row_matmul(y, a_.like(y)).view(with_batch(y.size(0), domain()));
  }
  Tensor do_solve_normal(const Tensor& b, double lambda) const override {
    if (!is_small()) return FixedShape::do_solve_normal(b, lambda);
    const Svd f = *svd();
    const Tensor flat = b.flatten(1).to(at::kDouble), v = f.v.to(b.device()), s = f.s.to(b.device());
    const Tensor along = row_matmul(flat, v), vt = v.t().contiguous();
    Tensor x = row_matmul(along / (s.square() + lambda), vt);
    // Of full column rank there is no rest, only rounding that lambda would magnify.
    if (v.size(1) < v.size(0)) x = x + (flat - row_matmul(along, vt)) / lambda;
    return x.to(b.scalar_type()).view_as(b);
  }
  // U diag(1 / (s^2 + lambda)) U^T + (I - U U^T) / lambda
  Tensor do_solve_gram(const Tensor& b, double lambda) const override {
    if (!is_small()) return FixedShape::do_solve_gram(b, lambda);
    const Svd f = *svd();
    const Tensor y = b.to(at::kDouble), u = f.u.to(b.device()).contiguous(), s = f.s.to(b.device());
    const Tensor along = row_matmul(y, u), ut = u.t().contiguous();
    Tensor x = row_matmul(along / (s.square() + lambda), ut);
    if (u.size(1) < u.size(0)) x = x + (y - row_matmul(along, ut)) / lambda;
    return x.to(b.scalar_type());
  }
  // V diag(1 / s) U^T
  Tensor do_pseudo_inverse(const Tensor& y) const override {
    if (!is_small()) return FixedShape::do_pseudo_inverse(y);
    const Svd f = *svd();
    const double least = rank_tolerance(std::max(codomain()[0], product(domain())), y.scalar_type());
    const int64_t rank = f.s.numel() == 0 ? 0 : f.s.gt(least * f.s[0]).sum().item<int64_t>();
    const auto first = [&](const Tensor& m) { return m.narrow(1, 0, rank).to(y.device()); };
    const Tensor along = row_matmul(y.to(at::kDouble), first(f.u).contiguous());
    const Tensor x = row_matmul(along / f.s.narrow(0, 0, rank).to(y.device()), first(f.v).t().contiguous());
    return x.to(y.scalar_type()).view(with_batch(y.size(0), domain()));
  }

 private:
  // Else conjugate gradients are faster than a decomposition.
  bool is_small() const { return std::min(codomain()[0], product(domain())) <= largest_dense_svd; }

  Constant a_, transposed_;
  mutable std::once_flag svd_once_;
  mutable Svd svd_;
};

}  // namespace

LinearOperatorPtr make_matrix(Shape domain, const Tensor& matrix) {
  require_domain(domain, 1, "matrix.domain");
  const int64_t d = product(domain);
  if (matrix.dim() != 2 || matrix.size(0) < 1 || matrix.size(1) != d) {
    throw Error("matrix.matrix", fmt::format("shape {}, but (m, {}) is needed for x of shape {}",
                                             to_string(matrix.sizes()), d, to_string(domain)));
  }
  require_real(matrix, "matrix.matrix");
  require_finite(matrix, "matrix.matrix");
  return std::make_shared<MatrixOperator>(domain, matrix.detach().to(at::kCPU, at::kDouble).contiguous());
}

}  // namespace tweedie
