#include "diagnostic/field.h"

#include "core/shape.h"
#include "tweedie/forecast_scores.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <numbers>

namespace tweedie {

Tensor field_row(const Tensor& field, at::IntArrayRef shape, const std::string& place) {
  if (field.sizes() != shape || field.numel() == 0) {
    throw Error(place, fmt::format("shape {}, but {} is meant", to_string(field.sizes()), to_string(shape)));
  }
  require_real(field, place);
  require_finite(field, place);
  return field.reshape({1, -1}).to(at::kDouble);
}

Tensor member_rows(const Tensor& ensemble, at::IntArrayRef shape, const std::string& place) {
  require_batch_of(ensemble, shape, place);
  require_real(ensemble, place);
  require_finite(ensemble, place);
  if (ensemble.numel() == 0) throw Error(place, "no members, or fields of no values");
  return ensemble.reshape({ensemble.size(0), -1}).to(at::kDouble);
}

Tensor field_weight(const Tensor& weight, at::IntArrayRef shape, const std::string& place) {
  const int64_t n = product(shape);
  if (!weight.defined()) return at::full({n}, 1.0 / static_cast<double>(n), at::kDouble);
  require_real(weight, place);
  require_finite(weight, place);
  Shape all(shape.begin(), shape.end());
  const auto extra = static_cast<int64_t>(all.size()) - weight.dim();
  bool fits = extra >= 0;
  for (int64_t i = 0; fits && i < weight.dim(); ++i)
    fits = weight.size(i) == 1 || weight.size(i) == all[extra + i];
  if (!fits) {
    throw Error(place, fmt::format("shape {} does not broadcast to fields of {}", to_string(weight.sizes()),
                                   to_string(shape)));
  }
  const Tensor flat = weight.to(at::kDouble).expand(all).reshape({-1});
  if (flat.lt(0).any().item<bool>() || !(flat.sum().item<double>() > 0))
    throw Error(place, "weights are >= 0, and not all 0");
  return flat / flat.sum();
}

Tensor latitude_weight(const Tensor& latitude) {
  require_real(latitude, "latitude");
  require_finite(latitude, "latitude");
  if (latitude.dim() != 1 || latitude.numel() == 0 || latitude.abs().max().item<double>() > 90)
    throw Error("latitude",
                fmt::format("shape {}; (rows) in degrees, -90 to 90, is meant", to_string(latitude.sizes())));
  return (latitude.to(at::kDouble) * (std::numbers::pi / 180)).cos().clamp_min(0).unsqueeze(1);
}

}  // namespace tweedie
