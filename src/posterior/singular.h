#pragma once
// A linear Gaussian measurement in the singular coordinates of its operator: with A = U diag(s) V^T,
// coordinate i of V^T x was measured as target_i = (U^T y)_i / s_i with standard deviation level_i =
// noise_std / s_i.

#include "tweedie/likelihood.h"

namespace tweedie {

// diag(1 / s) U^T y for each row of y (B, ...): (B, k), float64, on svd's device. In float64 since 1 / s may
// be large.
Tensor singular_target(const Svd& svd, const Tensor& y);

struct SingularBasis {
  Svd svd;       // coordinates with s > 0, by decreasing s
  Tensor level;  // (k) float64, ascending
  int64_t measurements;
  double noise_std;

  // Throws Error(method.kind) for a nonlinear operator.
  static SingularBasis of(const Likelihood& likelihood, const char* method);

  int64_t count() const { return level.size(0); }
  // For one y (*codomain): (k), float64, contiguous
  Tensor target(const Tensor& y) const { return singular_target(svd, y.unsqueeze(0))[0]; }
  // log p(y) minus the log density of the target: the Jacobian, and the part of y that A can't reach.
  // -infinity when that part is not 0 and noise_std is.
  double log_jacobian(const Tensor& y) const;
};

}  // namespace tweedie
