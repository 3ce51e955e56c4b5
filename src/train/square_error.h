#pragma once
// The weighted square error of a regression, with its derivative.

#include "tweedie/tensor.h"

namespace tweedie {

// sum w (prediction - target)^2, differentiable in the prediction once; weight undefined: w = 1, else it
// broadcasts against both
Tensor square_error(const Tensor& prediction, const Tensor& target, const Tensor& weight);

}  // namespace tweedie
