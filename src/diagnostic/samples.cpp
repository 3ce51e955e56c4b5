#include "diagnostic/samples.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

Tensor flat_rows(const Tensor& x, const std::string& place) {
  if (!x.defined() || x.dim() == 0) throw Error(place, "no axis of draws; (draws, ...) is meant");
  const Tensor real = x.is_complex() ? at::view_as_real(x.detach().resolve_conj()) : x.detach();
  require_finite(real, place);
  return real.to(at::kCPU, at::kDouble).reshape({x.size(0), x.size(0) == 0 ? 0 : real.numel() / x.size(0)});
}

Tensor normalised(const Tensor& log_weight, const std::string& place) {
  const Tensor log_w = log_weight.detach().to(at::kCPU, at::kDouble);
  const double top = log_w.numel() == 0 ? -INFINITY : log_w.max().item<double>();  // NaN wins
  if (!std::isfinite(top)) {
    throw Error(place, fmt::format("the largest log weight is {}; a finite number is meant", top));
  }
  return at::softmax(log_w, 0);
}

Rows rows_of(const SampleSet& set, const std::string& place, int64_t least) {
  Rows rows{flat_rows(set.x, place), {}, set.log_weight.defined(), 0};
  const int64_t n = rows.n();
  if (n < least) throw Error(place, fmt::format("{} draws, but at least {} are needed", n, least));
  if (rows.d() == 0) throw Error(place, "draws without a coordinate");
  if (rows.weighted) {
    if (set.log_weight.dim() != 1 || set.log_weight.size(0) != n) {
      throw Error(place + ".log_weight", fmt::format("shape {}, but one for each of {} draws is needed",
                                                     to_string(set.log_weight.sizes()), n));
    }
    rows.weight = normalised(set.log_weight, place + ".log_weight");
    rows.ess = 1 / rows.weight.square().sum().item<double>();
  } else {
    rows.weight = at::full({n}, 1.0 / static_cast<double>(n), at::kDouble);
    rows.ess = static_cast<double>(n);
  }
  return rows;
}

std::pair<Rows, Rows> rows_of(const SampleSet& a, const SampleSet& b, const std::string& place,
                              int64_t least) {
  std::pair<Rows, Rows> both{rows_of(a, place + ".a", least), rows_of(b, place + ".b", least)};
  if (both.first.d() != both.second.d()) {
    throw Error(place, fmt::format("draws of {} and of {} coordinates; one number is meant", both.first.d(),
                                   both.second.d()));
  }
  return both;
}

void require_at_most(int64_t most, const Rows& rows, const std::string& place) {
  if (rows.n() <= most) return;
  throw Error(place, fmt::format("{} draws, but at most {} in a set; thin them, or take a sliced distance",
                                 rows.n(), most));
}

Tensor systematic(const Tensor& weight, double u) {
  const double effective = 1 / weight.square().sum().item<double>();
  const auto k = std::max<int64_t>(1, std::llround(effective));
  const Tensor level = (at::arange(k, at::kDouble) + u) / static_cast<double>(k);
  return at::searchsorted(weight.cumsum(0), level).clamp_max(weight.size(0) - 1);
}

Tensor equal_weight_index(const Rows& rows, Noise& noise) {
  if (!rows.weighted) return at::arange(rows.n(), at::kLong);
  return systematic(rows.weight, noise.uniform({1}, at::kDouble).item<double>());
}

Tensor equal_weight_rows(const Rows& rows, Noise& noise) {
  return rows.weighted ? rows.x.index_select(0, equal_weight_index(rows, noise)) : rows.x;
}

Tensor thinned(const Tensor& x, int64_t most, Noise& noise) {
  if (x.size(0) <= most) return x;
  return x.index_select(0, at::tensor(noise.permutation(x.size(0)), at::kLong).slice(0, 0, most));
}

Tensor distances(const Tensor& x, const Tensor& y) {
  const int64_t through_product = 1, directly = 2;
  return at::cdist(x, y, 2, x.size(1) >= 32 ? through_product : directly);
}

double weighted_sum(const Tensor& x, const Tensor& v, const Tensor& y, const Tensor& w,
                    const std::function<Tensor(const Tensor&)>& f) {
  constexpr int64_t block_rows = 1024;
  double sum = 0;
  for (int64_t i = 0; i < x.size(0); i += block_rows) {
    const Tensor xi = x.slice(0, i, i + block_rows), vi = v.slice(0, i, i + block_rows);
    for (int64_t j = 0; j < y.size(0); j += block_rows) {
      const Tensor yj = y.slice(0, j, j + block_rows), wj = w.slice(0, j, j + block_rows);
      sum += vi.dot(f(distances(xi, yj)).matmul(wj)).item<double>();
    }
  }
  return sum;
}

Spread spread_of(const Rows& rows) {
  const Tensor mean = rows.weight.matmul(rows.x);
  const Tensor centred = rows.x - mean;
  const double share = 1 - 1 / rows.ess;  // what the mean's own error takes away
  if (share <= 0) throw Error("moments", "all the weight is on one draw; at least two are needed");
  const Tensor square = centred.square().sum(1);
  const double trace = rows.weight.dot(square).item<double>() / share;
  return {mean, centred * (rows.weight / share).sqrt().unsqueeze(1), trace,
          rows.weight.dot(square.square()).item<double>()};
}

}  // namespace tweedie
