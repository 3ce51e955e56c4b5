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

Tensor systematic(const Tensor& weight, double u) {
  const double effective = 1 / weight.square().sum().item<double>();
  const auto k = std::max<int64_t>(1, std::llround(effective));
  const Tensor level = (at::arange(k, at::kDouble) + u) / static_cast<double>(k);
  return at::searchsorted(weight.cumsum(0), level).clamp_max(weight.size(0) - 1);
}

Tensor equal_weight_rows(const Rows& rows, Noise& noise) {
  if (!rows.weighted) return rows.x;
  const double u = noise.uniform({1}, at::kDouble).item<double>();
  return rows.x.index_select(0, systematic(rows.weight, u));
}

}  // namespace tweedie
