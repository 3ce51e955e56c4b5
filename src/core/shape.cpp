#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>

namespace tweedie {

std::string to_string(at::IntArrayRef shape) {
  if (shape.size() == 1) return fmt::format("({},)", shape[0]);
  return fmt::format("({})", fmt::join(shape.begin(), shape.end(), ", "));
}

int64_t product(at::IntArrayRef shape) {
  return std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>());
}

int64_t rows_together(at::IntArrayRef shape, at::Device device) {
  constexpr int64_t numbers = 8192;
  const int64_t rows = std::clamp<int64_t>(numbers / std::max<int64_t>(1, product(shape)), 16, 256) / 16 * 16;
  return device.is_cuda() ? 4 * rows : rows;
}

Shape with_batch(int64_t batch, at::IntArrayRef shape) {
  Shape result{batch};
  result.insert(result.end(), shape.begin(), shape.end());
  return result;
}

}  // namespace tweedie
