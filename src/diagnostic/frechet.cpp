// W_2 between Gaussians (Dowson and Landau 1982):
//   W_2^2 = |m_1 - m_2|^2 + tr(S_1 + S_2 - 2 (S_1^(1/2) S_2 S_1^(1/2))^(1/2)).
// With S_1 = A^T A and S_2 = B^T B the eigenvalues of S_1^(1/2) S_2 S_1^(1/2) are the squared singular values
// of A B^T, so the trace of its root is their sum: no root of a matrix and no square of a condition number.

#include "tweedie/frechet.h"

#include "diagnostic/samples.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// (k, d) with the same A^T A, k <= d
Tensor short_factor(const Tensor& deviation) {
  if (deviation.size(0) <= deviation.size(1)) return deviation;
  return std::get<1>(at::linalg_qr(deviation, "r"));
}

}  // namespace

double gaussian_w2(const SampleSet& a, const SampleSet& b) {
  const auto [x, y] = rows_of(a, b, "gaussian_w2", 2);
  const Spread s = spread_of(x), t = spread_of(y);
  const Tensor product = short_factor(s.deviation).matmul(short_factor(t.deviation).t());
  const double root_trace = at::linalg_svdvals(product).sum().item<double>();
  const double square = (s.mean - t.mean).square().sum().item<double>() + s.trace + t.trace - 2 * root_trace;
  return std::sqrt(std::max(square, 0.0));
}

}  // namespace tweedie
