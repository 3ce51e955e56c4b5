// The logarithm of the determinant in place of the rank. Fazel, Hindi, Boyd, ACC 2003; Lu, Tang, Yan, Lin,
// IEEE TIP 25, 2016 for the proximal gradients:
//   min 1/2 ||P (X - M)||_F^2 + w sum_i log(s_i + delta),   X <- prox(X - P (X - M)).
// The proximal map of w log(s + delta) at a singular value z is the larger root of
// (s - z) (s + delta) + w = 0,
//   s = ((z - delta) + sqrt((z + delta)^2 - 4 w)) / 2,
// where it is real and better than 0, and 0 else. Not convex: the weight falls to w from where X = 0 is the
// answer, and the end depends on it.

#include "completion/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double continuation = 0.9;  // of the threshold 2 sqrt(w)

Tensor prox(const Tensor& z, double w, double delta) {
  const Tensor under = (z + delta).square() - 4 * w;
  const Tensor s = (0.5 * ((z - delta) + under.clamp_min(0).sqrt())).clamp_min(0);
  const Tensor here = 0.5 * (s - z).square() + w * ((s + delta) / delta).log(), at_zero = 0.5 * z.square();
  return at::where(under.ge(0).logical_and(here.lt(at_zero)), s, at::zeros_like(s));
}

}  // namespace

Completion complete_logdet(const CompletionTask& t) {
  const double delta = t.options.delta.value_or(0.2 * std::sqrt(t.weight));
  double weight = std::max(t.weight, std::pow(0.5 * continuation * t.norm2, 2));
  Tensor x = at::zeros_like(t.m);
  LowRank found;
  Completion result;
  for (int64_t k = 1; k <= t.options.iterations; ++k) {
    // No s > 0 is better than 0 below the least z with a real root, or where its slope at 0 wins.
    const double least = std::max(0.0, std::min(2 * std::sqrt(weight) - delta, weight / delta));
    found = t.svd.above(x + (t.m - t.p * x), least);
    found.s = prox(found.s, weight, delta);
    const int64_t rank = found.s.gt(0).sum().item<int64_t>();
    found = {found.u.narrow(1, 0, rank), found.s.narrow(0, 0, rank), found.v.narrow(1, 0, rank)};
    const Tensor next = found.dense();
    result.residual = frobenius(next - x) / std::max(frobenius(next), 1e-300);
    x = next;
    result.iterations = k;
    t.step_done(k);
    if (weight > t.weight) {
      weight = std::max(t.weight, continuation * continuation * weight);
    } else if (result.residual <= t.options.tolerance) {
      result.converged = true;
      break;
    }
  }
  result.low_rank = x;
  result.singular_values = found.s;
  result.objective =
      0.5 * std::pow(frobenius(t.m - t.p * x), 2) + t.weight * (found.s + delta).log().sum().item<double>();
  const Tensor slopes = t.weight / (found.s + delta);
  const Tensor g = t.m - t.p * x;
  if (found.rank() > 0) {
    const double size = 2 * std::sqrt(t.weight * static_cast<double>(found.rank()));  // of the threshold
    result.kkt_residual = std::max(frobenius(at::matmul(g, found.v) - found.u * slopes),
                                   frobenius(at::matmul(g.t(), found.u) - found.v * slopes)) /
                          size;
  }
  return result;
}

}  // namespace tweedie
