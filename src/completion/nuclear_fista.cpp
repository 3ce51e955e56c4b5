// Accelerated proximal gradients for min 1/2 ||P (X - M)||_F^2 + w ||X||_*. Toh and Yun, Pacific J. Optim. 6,
// 2010 (APGL), Beck and Teboulle 2009 (FISTA): L = 1,
//   X <- D_w(Z - P (Z - M)),   Z = X + (t_k - 1) / t_{k+1} (X - X_old),
//   t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2,
// the weight falling to w by 0.7 an iteration, and the momentum taken back where it points uphill.

#include "completion/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {
constexpr double continuation = 0.7;
constexpr int64_t look_every = 10;  // iterations between two looks at the optimality conditions
}  // namespace

Completion complete_fista(const CompletionTask& t) {
  Completion result;
  Tensor x = at::zeros_like(t.m), z = x;
  LowRank found;
  double weight = std::max(t.weight, continuation * t.norm2), momentum = 1;
  const auto kkt = [&] {
    return stationarity(t.m - t.p * x, found, at::full_like(found.s, t.weight), t.weight, t.svd);
  };
  for (int64_t k = 1; k <= t.options.iterations; ++k) {
    found = t.svd.shrink(z + (t.m - t.p * z), weight);
    const Tensor next = found.dense();
    result.residual = frobenius(next - z) / std::max(frobenius(next), 1e-300);
    const bool uphill = ((z - next) * (next - x)).sum().item<double>() > 0;
    if (uphill) momentum = 1;
    const double after = (1 + std::sqrt(1 + 4 * momentum * momentum)) / 2;
    z = uphill ? next : next + (momentum - 1) / after * (next - x);
    momentum = after;
    x = next;
    result.iterations = k;
    t.step_done(k);
    if (weight > t.weight) {
      weight = std::max(t.weight, continuation * weight);
    } else if (result.residual <= t.options.tolerance * t.weight / t.norm2 ||
               (k % look_every == 0 && kkt() <= t.options.tolerance)) {
      result.converged = true;
      break;
    }
  }
  result.low_rank = x;
  result.singular_values = found.s;
  result.objective = 0.5 * std::pow(frobenius(t.m - t.p * x), 2) + t.weight * found.s.sum().item<double>();
  result.kkt_residual = kkt();
  return result;
}

}  // namespace tweedie
