// |x - y|^2 = |x|^2 + |y|^2 - 2 <x, y>, of which |x|^2 is the same for all y. Rows are centred, since the
// products lose the digits that |x - y|^2 is short of |x|^2; the distance to the row found is computed anew.

#include "diagnostic/nearest.h"

#include "core/workers.h"

#include <ATen/ATen.h>

#include <vector>

namespace tweedie {

namespace {

constexpr int64_t block_x = 1024, block_rows = 2048, long_row = 32;

// Row by row, in float64: (n, d) -> (n) of squares, without a float64 copy of all
Tensor squares(const Tensor& x) {
  std::vector<Tensor> parts;
  for (const Tensor& part : x.split(block_rows)) parts.push_back(part.to(at::kDouble).square().sum(1));
  return at::cat(parts);
}

// In float64, accumulated block by block
Tensor mean_of(const Tensor& x) {
  Tensor sum = at::zeros({x.size(1)}, at::kDouble);
  for (const Tensor& part : x.split(block_rows)) sum += part.to(at::kDouble).sum(0);
  return sum / static_cast<double>(x.size(0));
}

}  // namespace

Nearest nearest(const Tensor& x, const Tensor& rows, int64_t threads) {
  const int64_t n = x.size(0), m = rows.size(0);
  const bool by_products = x.size(1) >= long_row;
  const Tensor centre = mean_of(rows);
  const auto centred = [&](const Tensor& part) {
    return (part - centre.to(part.scalar_type())).to(at::kFloat);
  };
  Tensor half_square = at::empty({m}, at::kFloat);
  Nearest result{at::empty({n}, at::kLong), at::empty({n}, at::kDouble)};
  Workers workers(threads);
  workers.for_each((m + block_rows - 1) / block_rows, [&](int64_t i) {
    const int64_t begin = i * block_rows;
    half_square.slice(0, begin, begin + block_rows)
        .copy_(squares(centred(rows.slice(0, begin, begin + block_rows))) / 2);
  });
  workers.for_each((n + block_x - 1) / block_x, [&](int64_t i) {
    const Tensor part = x.slice(0, i * block_x, (i + 1) * block_x), own = centred(part);
    Tensor least = at::full({part.size(0)}, INFINITY, at::kFloat),
           index = at::zeros({part.size(0)}, at::kLong);
    for (int64_t begin = 0; begin < m; begin += block_rows) {
      const Tensor other = centred(rows.slice(0, begin, begin + block_rows));
      const Tensor score =
          by_products
              ? at::addmm(half_square.slice(0, begin, begin + block_rows).unsqueeze(0), own, other.t(), 1, -1)
              : at::cdist(own, other, 2, 2);
      const auto [value, at_row] = score.min(1);
      const Tensor nearer = value < least;
      least = at::where(nearer, value, least);
      index = at::where(nearer, at_row + begin, index);
    }
    result.index.slice(0, i * block_x, (i + 1) * block_x).copy_(index);
    const Tensor found = rows.index_select(0, index).to(at::kDouble);
    result.distance.slice(0, i * block_x, (i + 1) * block_x).copy_((part.to(at::kDouble) - found).norm(2, 1));
  });
  return result;
}

}  // namespace tweedie
