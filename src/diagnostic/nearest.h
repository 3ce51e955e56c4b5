#pragma once
// Nearest rows of another set, in bounded memory.

#include "tweedie/tensor.h"

namespace tweedie {

struct Nearest {
  Tensor index;     // (n) int64: the row nearest to each
  Tensor distance;  // (n) float64: Euclidean, to it
};

// x: (n, d), rows: (m, d), m >= 1, real numbers on the CPU. Searched for in float32, block by block, by
// products of matrices from 32 coordinates on: of rows whose distances differ by less than its rounding, any
// may be the one that is found. threads 0: all cores; the result does not depend on them.
Nearest nearest(const Tensor& x, const Tensor& rows, int64_t threads = 0);

}  // namespace tweedie
