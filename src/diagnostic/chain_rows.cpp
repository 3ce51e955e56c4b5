#include "diagnostic/chain_rows.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

Tensor chain_rows(const Tensor& chains, const std::string& place) {
  constexpr int64_t least = 4;  // two in each half, of which a variance can be taken
  if (!chains.defined() || chains.dim() < 2 || chains.size(0) < least || chains.numel() == 0) {
    throw Error(place, fmt::format("shape {}, but (draws, chains, ...) with at least {} draws is meant",
                                   chains.defined() ? to_string(chains.sizes()) : "()", least));
  }
  require_real(chains, place);
  require_finite(chains, place);
  const Tensor x = chains.detach().to(at::kCPU, at::kDouble);
  return x.reshape({x.size(0), x.size(1), -1}).permute({2, 1, 0}).contiguous();
}

Tensor of_shape(const Tensor& values, const Tensor& chains) {
  return values.reshape(chains.sizes().slice(2));
}

Tensor halves(const Tensor& rows) {
  const int64_t n = rows.size(2), half = n / 2;
  return at::cat({rows.slice(2, 0, half), rows.slice(2, n - half)}, 1);
}

Tensor rank_normalised(const Tensor& rows) {
  const Tensor flat = rows.flatten(1).contiguous();
  const Tensor sorted = std::get<0>(flat.sort(1)).contiguous();
  const Tensor below = at::searchsorted(sorted, flat), up_to = at::searchsorted(sorted, flat, false, true);
  const Tensor rank = (below + up_to + 1).to(at::kDouble) / 2;
  return at::special_ndtri((rank - 0.375) / (static_cast<double>(flat.size(1)) + 0.25)).view(rows.sizes());
}

Tensor varies(const Tensor& rows) {
  return rows.amax({1, 2}) > rows.amin({1, 2});
}

Tensor pooled_quantile(const Tensor& rows, double probability) {
  const Tensor sorted = std::get<0>(rows.flatten(1).sort(1));
  const double position = probability * static_cast<double>(sorted.size(1) - 1);
  const auto k = static_cast<int64_t>(position);
  const Tensor low = sorted.select(1, k), high = sorted.select(1, std::min(k + 1, sorted.size(1) - 1));
  return low + (position - static_cast<double>(k)) * (high - low);
}

}  // namespace tweedie
