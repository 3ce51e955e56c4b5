#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <numeric>

namespace tweedie {

std::string to_string(at::IntArrayRef shape) {
  if (shape.size() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

int64_t product(at::IntArrayRef shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

Shape with_batch(int64_t batch, at::IntArrayRef shape) {
  Shape result{batch};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

void require_batch_of(const Tensor& x, at::IntArrayRef shape, const std::string& place) {
  if (x.dim() != static_cast<int64_t>(shape.size()) + 1 || x.sizes().slice(1) != shape) {
    throw Error(place,
                fmt::format("shape {}, but a batch of {} is needed", to_string(x.sizes()), to_string(shape)));
  }
}

void require_finite(const Tensor& x, const std::string& place) {
  if (!x.is_floating_point() && !x.is_complex()) return;
  const Tensor bad = at::isfinite(x).logical_not().reshape({-1});
  const int64_t count = bad.sum().item<int64_t>();
  if (count == 0) return;
  int64_t flat = bad.to(at::kByte).argmax().item<int64_t>();
  Shape index(x.dim());
  for (int64_t axis = x.dim() - 1; axis >= 0; --axis) {
    index[axis] = flat % x.size(axis);
    flat /= x.size(axis);
  }
  throw Error(
      place,
      fmt::format("{} of {} values are NaN or infinite, the first at {}; only finite numbers are meant",
                  count, x.numel(), to_string(index)));
}

void require_real(const Tensor& x, const std::string& place) {
  if (x.scalar_type() != at::kFloat && x.scalar_type() != at::kDouble) {
    throw Error(place, fmt::format("dtype {}, but float32 or float64 is needed", toString(x.scalar_type())));
  }
}

}  // namespace tweedie
