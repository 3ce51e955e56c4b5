// Rank histograms of fields. Values of one field are not independent, so a chi2 of their counts is far too
// large; the cases are, and their histograms h_c have mean 1/bins each under exchangeability. With d the mean
// of h_c - 1/bins and S their covariance, n d^T S^-1 d is Hotelling's T^2 in bins - 1 dimensions, the shares
// summing to 1.

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/field.h"
#include "tweedie/forecast_scores.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

Tensor rank_shares(const Tensor& ensemble, const Tensor& truth, const Tensor& weight, int64_t bins,
                   Noise noise) {
  const Tensor y = field_row(truth, truth.sizes(), "rank_shares.truth");
  const Tensor x = member_rows(ensemble, truth.sizes(), "rank_shares.ensemble");
  const Tensor w = field_weight(weight, truth.sizes(), "rank_shares.weight");
  const int64_t members = x.size(0);
  if (bins < 2 || (members + 1) % bins != 0) {
    throw Error("score.bins", fmt::format("{}, but {} members give {} ranks, which bins must divide", bins,
                                          members, members + 1));
  }
  const Tensor below = (x < y).sum(0), ties = (x == y).sum(0);
  const Tensor place = (noise.uniform({1, x.size(1)}, at::kDouble)[0] * (ties + 1)).floor().to(at::kLong);
  const Tensor rank = below + place.minimum(ties);
  return at::bincount(rank.floor_divide((members + 1) / bins), w, bins);
}

RankFlatness rank_flatness(const Tensor& shares) {
  if (shares.dim() != 2 || shares.size(0) < 1 || shares.size(1) < 2)
    throw Error("rank_flatness", fmt::format("shares {}; (cases, bins) is meant", to_string(shares.sizes())));
  const int64_t n = shares.size(0), bins = shares.size(1), p = bins - 1;
  const double cases = static_cast<double>(n), share = 1.0 / static_cast<double>(bins);
  RankFlatness result{shares.mean(0), at::zeros({bins}, at::kDouble), std::nullopt};
  if (n < 2) return result;
  result.standard_error = (shares.var(0, true) / cases).sqrt();
  if (n < 2 * bins) return result;
  const Tensor deviation = (shares - result.share).slice(1, 0, p);
  const Tensor s = at::matmul(deviation.t(), deviation) / static_cast<double>(n - 1);
  // A bin that no case reached has no variance in S. One case's worth of what independent ranks would have,
  // on the scale of S, stands in for it.
  const Tensor independent = at::eye(p, at::kDouble) * share - share * share;
  const double scale = s.trace().item<double>() / independent.trace().item<double>();
  const Tensor covariance = (s * (cases - 1) + independent * scale) / cases;
  const auto [value, basis] = at::linalg_eigh(covariance);
  const Tensor d = (result.share.slice(0, 0, p) - share).matmul(basis);
  if (!(value.min().item<double>() > 0)) {  // every case has one and the same histogram
    result.p_value = d.abs().max().item<double>() > 1e-9 ? 0.0 : 1.0;
    return result;
  }
  const double t2 = cases * (d.square() / value).sum().item<double>();
  const double k = static_cast<double>(p);
  result.p_value = f_tail(t2 * (cases - k) / (k * (cases - 1)), k, cases - k);
  return result;
}

}  // namespace tweedie
