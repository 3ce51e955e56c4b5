// A distance between random splits of what both sets hold together: if the laws are equal, it has the law of
// the distance between the sets.

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

constexpr const char* place = "distance_floor";

Noise stream_of(const FloorOptions& options, Stream purpose) {
  return Noise(options.seed).stream(Stream::metric).stream(purpose);
}

// pool (n + m, d) holds draws like those of x.
Floor floor_of(const Distance& distance, Tensor pool, int64_t n, const Tensor& x,
               const FloorOptions& options) {
  if (options.splits < 2) {
    throw Error("distance_floor.splits", fmt::format("{}, but at least 2 are needed", options.splits));
  }
  const int64_t m = pool.size(0) - n;
  if (n < 1 || m < 1) throw Error(place, "a floor needs at least one draw on each side");
  if (!x.is_complex()) pool = pool.reshape(with_batch(n + m, x.sizes().slice(1)));
  Noise noise = stream_of(options, Stream::order);
  Tensor values = at::empty({options.splits}, at::kDouble);
  for (int64_t s = 0; s < options.splits; ++s) {
    const Tensor shuffled = pool.index_select(0, at::tensor(noise.permutation(n + m), at::kLong));
    values[s] = distance(shuffled.slice(0, 0, n), shuffled.slice(0, n));
  }
  return {values.mean().item<double>(), values.std().item<double>()};
}

}  // namespace

Floor distance_floor(const Distance& distance, const SampleSet& a, const FloorOptions& options) {
  Noise noise = stream_of(options, Stream::weights);
  const Tensor pool = equal_weight_rows(rows_of(a, place, 2), noise);
  return floor_of(distance, pool, pool.size(0) / 2, a.x, options);
}

Floor distance_floor(const Distance& distance, const SampleSet& a, const SampleSet& b,
                     const FloorOptions& options) {
  Noise noise = stream_of(options, Stream::weights);
  const auto [x, y] = rows_of(a, b, place);
  const Tensor first = equal_weight_rows(x, noise), second = equal_weight_rows(y, noise);
  return floor_of(distance, at::cat({first, second}), first.size(0), a.x, options);
}

}  // namespace tweedie
