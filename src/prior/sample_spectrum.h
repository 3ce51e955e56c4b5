#pragma once
// The eigendecomposition of a sample covariance.

#include "tweedie/tensor.h"

namespace tweedie {

struct SampleSpectrum {
  Tensor mean;   // (d)
  Tensor value;  // (d) ascending, >= 0: of the covariance with divisor N
  Tensor basis;  // (d, d), columns
};

// data: (N, *shape), N >= 2, or Error("data"). All in float64.
SampleSpectrum sample_spectrum(const Tensor& data);

}  // namespace tweedie
