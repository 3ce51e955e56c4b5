#pragma once
// One shift and one scale for all values of a data set, so that a model sees numbers of order 1.

#include "tweedie/tensor.h"

namespace tweedie {

struct DataScale {
  double mean = 0;
  double std = 1;
};

// Mean and standard deviation (divisor N) over all values of x, accumulated in float64; std 1 where all
// values are equal. Throws Error when x is empty or not finite.
DataScale data_scale(const Tensor& x);

}  // namespace tweedie
