#pragma once
// Rows are worked on in slices of one size, each on one thread, gaps filled with rows that are dropped: a
// row's bits depend on its place in its slice at most, and that is its own.

#include "core/workers.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>

#include <numeric>

namespace tweedie {

// work(first row, Noise of the rows) -> (slice_rows, ...) for slices of [0, rows); the first `rows` of what
// they give
template <class Work>
Tensor in_slices(int64_t rows, int64_t slice_rows, const Noise& noise, int64_t threads, Work work) {
  const int64_t slices = (rows + slice_rows - 1) / slice_rows;
  std::vector<Tensor> results(slices);
  Workers workers(threads);
  workers.for_each(slices, [&](int64_t i) {
    std::vector<uint64_t> ids(slice_rows);
    std::iota(ids.begin(), ids.end(), static_cast<uint64_t>(i * slice_rows));
    Noise of_rows = noise.rows(std::move(ids));
    results[i] = work(i * slice_rows, of_rows);
  });
  return at::cat(results).slice(0, 0, rows).contiguous();
}

// Rows begin .. begin + count of x, the last one repeated where there are fewer
inline Tensor padded(const Tensor& x, int64_t begin, int64_t count) {
  return x.index_select(0, at::arange(begin, begin + count).clamp_max(x.size(0) - 1));
}

// f of slices of the rows of x, which has some; f: (n, ...) -> (n, ...), without noise
template <class Function>
Tensor map_slices(const Tensor& x, int64_t slice_rows, int64_t threads, Function f) {
  return in_slices(x.size(0), slice_rows, Noise(0), threads,
                   [&](int64_t begin, Noise&) { return f(padded(x, begin, slice_rows)); });
}

}  // namespace tweedie
