#include "completion/low_rank.h"

#include "core/rows.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t small = 200;       // rows or columns below which a full decomposition is as fast
constexpr int64_t beyond = 10;       // random directions beside the warm ones
constexpr int64_t first_passes = 3;  // powers of X X^T where there is no warm start

Tensor orthonormal(const Tensor& y) {
  return std::get<0>(at::linalg_qr(y, "reduced"));
}

LowRank first(const LowRank& x, int64_t rank) {
  return {x.u.narrow(1, 0, rank), x.s.narrow(0, 0, rank), x.v.narrow(1, 0, rank)};
}

}  // namespace

double frobenius(const Tensor& x) {
  const Tensor row = x.reshape({1, -1});
  return std::sqrt(row_dot(row, row).item<double>());
}

Tensor LowRank::dense() const {
  return at::matmul(u * s, v.t());
}

ThresholdedSvd::ThresholdedSvd(int64_t rows, int64_t columns, SvdKind kind, const Noise& noise)
    : full_(kind == SvdKind::full || (kind == SvdKind::automatic && std::min(rows, columns) < small)),
      least_(std::min(rows, columns)),
      noise_(noise.stream(Stream::user)) {}

LowRank ThresholdedSvd::randomised(const Tensor& x, int64_t k, int64_t passes) {
  const int64_t warm = v_.defined() ? std::min(v_.size(1), k) : 0;
  Tensor q = noise_.normal({1, x.size(1) * (k - warm)}, at::kDouble).view({x.size(1), k - warm});
  if (warm > 0) q = at::cat({v_.narrow(1, 0, warm), q}, 1);
  for (int64_t i = 0; i < passes; ++i) {
    if (i > 0) q = orthonormal(q);
    q = at::matmul(x.t(), orthonormal(at::matmul(x, q)));
  }
  // X v = u r: the singular values of X on the subspace of v are those of the small r.
  const Tensor v = orthonormal(q);
  const auto [u, r] = at::linalg_qr(at::matmul(x, v), "reduced");
  const auto [small_u, s, small_vt] = at::linalg_svd(r, false);
  return {at::matmul(u, small_u), s, at::matmul(v, small_vt.t())};
}

LowRank ThresholdedSvd::above(const Tensor& x, double threshold) {
  LowRank found;
  int64_t k = std::min(rank_ + beyond, least_);
  while (true) {
    if (full_ || 3 * k > least_) {
      const auto [u, s, vt] = at::linalg_svd(x, false);
      found = {u, s, vt.t()};
      break;
    }
    found = randomised(x, k, fresh_ ? first_passes : 1);
    if (found.s[k - 1].item<double>() <= threshold) break;
    v_ = found.v;
    k *= 2;
  }
  v_ = found.v.narrow(1, 0, std::min(found.rank(), std::max<int64_t>(k, 1))).contiguous();
  fresh_ = false;
  rank_ = found.s.gt(threshold).sum().item<int64_t>();
  return first(found, rank_);
}

LowRank ThresholdedSvd::shrink(const Tensor& x, double threshold) {
  LowRank found = above(x, threshold);
  found.s = found.s - threshold;
  return found;
}

double ThresholdedSvd::norm(const Tensor& x) {
  Noise probe(1);
  Tensor q = probe.normal({1, x.size(1) * 4}, at::kDouble).view({x.size(1), 4});
  double last = 0;
  for (int i = 0; i < 200; ++i) {
    q = at::matmul(x.t(), orthonormal(at::matmul(x, orthonormal(q))));
    const double now =
        std::get<1>(at::linalg_svd(std::get<1>(at::linalg_qr(q, "reduced")), false))[0].item<double>();
    if (std::abs(now - last) <= 1e-10 * now) return now;
    last = now;
  }
  return last;
}

double stationarity(const Tensor& g, const LowRank& x, const Tensor& slopes, double at_zero,
                    ThresholdedSvd& svd) {
  if (x.rank() == 0) return std::max(0.0, svd.norm(g) / at_zero - 1);
  const Tensor left = at::matmul(g, x.v) - x.u * slopes, right = at::matmul(g.t(), x.u) - x.v * slopes;
  const double size = frobenius(slopes);
  const double along = std::max(frobenius(left), frobenius(right)) / size;
  Tensor rest = g - at::matmul(x.u, at::matmul(x.u.t(), g));
  rest = rest - at::matmul(at::matmul(rest, x.v), x.v.t());
  return std::max(along, std::max(0.0, svd.norm(rest) / at_zero - 1));
}

}  // namespace tweedie
