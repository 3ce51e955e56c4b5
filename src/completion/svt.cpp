// Singular value thresholding. Cai, Candes, Shen, SIAM J. Optim. 20, 2010: Uzawa's method on the dual of
//   min tau ||X||_* + 1/2 ||X||_F^2 where P X = P M:   X = D_tau(Y),   Y <- Y + delta P (M - X),
// D_tau the soft threshold of singular values, delta = 1.2 m n / |Omega|, from Y = k0 delta P M, k0 =
// ceil(tau / (delta ||P M||_2)). Any delta < 2 converges; theirs is larger and is halved here where the
// residual grows.

#include "completion/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

Completion complete_svt(const CompletionTask& t) {
  const double tau = t.weight, size = frobenius(t.m);
  double delta = std::max(1.2 / t.share, 1.2);
  Tensor y = std::ceil(tau / (delta * t.norm2)) * delta * t.m;
  Completion result;
  LowRank x;
  double least = INFINITY;
  for (int64_t k = 1; k <= t.options.iterations; ++k) {
    x = t.svd.shrink(y, tau);
    const Tensor gap = t.m - t.p * x.dense();
    result.residual = frobenius(gap) / size;
    result.iterations = k;
    t.step_done(k);
    if (result.residual <= t.options.tolerance) {
      result.converged = true;
      break;
    }
    if (result.residual > 2 * least && delta > 1) {
      delta = std::max(1.0, delta / 2);
      least = result.residual;
    }
    least = std::min(least, result.residual);
    y.add_(gap, delta);
  }
  result.low_rank = x.dense();
  result.singular_values = x.s;
  result.objective = (tau * x.s.sum() + 0.5 * x.s.square().sum()).item<double>();
  // X = D_tau(Y) holds by construction, so what is left is that P X = P M.
  result.kkt_residual = result.residual;
  return result;
}

}  // namespace tweedie
