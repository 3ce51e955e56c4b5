#pragma once
// What a measurement does to x before noise: y = h(x) + w. All maps act on batches, row by row, and throw
// Error on a wrong shape or dtype; a batch is float32 or float64 and may be empty.

#include "tweedie/tensor.h"

#include <memory>
#include <optional>

namespace tweedie {

// h: domain -> codomain, differentiable.
class ForwardOperator {
 public:
  virtual ~ForwardOperator() = default;
  virtual Shape domain() const = 0;    // shape of one x
  virtual Shape codomain() const = 0;  // shape of one y

  // x: (B, *domain) -> (B, *codomain), of x's dtype and device
  Tensor apply(const Tensor& x) const;
  // (dh/dx)^T v at x: x (B, *domain), v (B, *codomain) -> (B, *domain)
  Tensor vjp(const Tensor& x, const Tensor& v) const;
  // Whether vjp is that of another map, which stands in for one that has no useful derivative.
  virtual bool has_surrogate_derivative() const { return false; }
  // Whether y is complex numbers, (..., 2), which files hold as such.
  virtual bool measures_complex() const { return false; }
  // Whether x is a complex image, (2, H, W) with its real and imaginary part.
  virtual bool takes_complex() const { return false; }

 protected:
  virtual Tensor do_apply(const Tensor& x) const = 0;
  virtual Tensor do_vjp(const Tensor& x, const Tensor& v) const = 0;
};

// A = U diag(s) V^T, thin: u (m, k), s (k) > 0 decreasing, v (d, k), float64, over the flattened spaces.
struct Svd {
  Tensor u, s, v;
};

class LinearOperator : public ForwardOperator {
 public:
  // A^T y: (B, *codomain) -> (B, *domain)
  Tensor adjoint(const Tensor& y) const;
  // A^T A x: (B, *domain) -> (B, *domain)
  Tensor normal(const Tensor& x) const;
  // A A^T y: (B, *codomain) -> (B, *codomain)
  Tensor gram(const Tensor& y) const { return apply(adjoint(y)); }
  // (A^T A + lambda I)^{-1} b, lambda > 0 and finite: (B, *domain) -> (B, *domain). In closed form where
  // there is one, else by conjugate gradients in float64 to a relative residual of 1e-10 (float64) or 1e-6
  // (float32), or as far as 10,000 iterations come.
  Tensor solve_normal(const Tensor& b, double lambda) const;
  // (A A^T + lambda I)^{-1} b, lambda > 0 and finite: (B, *codomain) -> (B, *codomain), computed as
  // solve_normal is
  Tensor solve_gram(const Tensor& b, double lambda) const;
  // Whether precondition_gram is more than b
  virtual bool preconditions_gram() const { return false; }
  // M b for conjugate gradients with A A^T + lambda I, lambda >= 0 and finite: M is symmetric, positive
  // definite and near a multiple of that matrix's inverse where the operator knows one, else I. Cheap.
  Tensor precondition_gram(const Tensor& b, double lambda) const;
  // A^+ y, of all x with |y - A x| least the shortest: (B, *codomain) -> (B, *domain). In closed form where
  // there is one, for which singular values below the rounding of y's dtype are zero; else as solve_normal
  // does it.
  Tensor pseudo_inverse(const Tensor& y) const;
  // Largest singular value, computed anew at each call. Where it has no closed form, the error of its square
  // is estimated to be at most tolerance times that square (0 < tolerance < 1); a step length needs no more
  // than 1e-2.
  double norm(double tolerance = 1e-6) const;
  // The same by Lanczos iteration alone, from apply and adjoint
  double norm_by_lanczos(double tolerance = 1e-6) const;
  // the decomposition, where the operator has a cheap one; svd_of computes it for others
  virtual std::optional<Svd> svd() const { return std::nullopt; }
  // A as a dense (m, d) float64 matrix over the flattened spaces; throws Error above `limit` entries
  Tensor dense(int64_t limit = 64'000'000) const;

 protected:
  Tensor do_vjp(const Tensor&, const Tensor& v) const final { return do_adjoint(v); }
  virtual Tensor do_adjoint(const Tensor& y) const = 0;
  virtual Tensor do_normal(const Tensor& x) const { return do_adjoint(do_apply(x)); }
  virtual Tensor do_solve_normal(const Tensor& b, double lambda) const;
  virtual Tensor do_solve_gram(const Tensor& b, double lambda) const;
  virtual Tensor do_precondition_gram(const Tensor& b, double /*lambda*/) const { return b; }
  virtual Tensor do_pseudo_inverse(const Tensor& y) const;
  virtual double do_norm(double tolerance) const { return norm_by_lanczos(tolerance); }
};

// The operator's own decomposition, or one of its dense matrix, in which singular values that are zero to
// rounding are left out. Throws Error where min(m, d) > 2048, for which it would take minutes.
Svd svd_of(const LinearOperator& a);

}  // namespace tweedie
