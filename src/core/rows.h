#pragma once
// Sums over each row of a batch whose bits depend on that row alone: not on the other rows, the number of
// rows, the row's place among them, or the number of threads. libtorch's own reductions and products promise
// none of these.

#include "tweedie/tensor.h"

namespace tweedie {

// <a_i, b_i> for each row, (B) float64, accumulated in float64. a, b: (B, ...) of one shape and dtype,
// float32 or float64. Carries no gradient. On another device than the CPU the number of rows may matter.
Tensor row_dot(const Tensor& a, const Tensor& b);

// x M: x (B, n), m (n, k) of x's dtype -> (B, k). No gradient; the number of rows may matter on another
// device.
Tensor row_matmul(const Tensor& x, const Tensor& m);

// One factor for each row, (B), ready to broadcast against x: (B, 1, ..., 1) of x's dtype.
Tensor per_row(const Tensor& factor, const Tensor& x);

// At most `most` of the rows of x, evenly spread over it: its first ones may be of one class alone.
Tensor spread_rows(const Tensor& x, int64_t most);

}  // namespace tweedie
