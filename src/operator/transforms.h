#pragma once
// Fast orthonormal transforms along the last axis, each row's bits its own.

#include "tweedie/tensor.h"

namespace tweedie {

// X_k = f_k sum_i x_i cos(pi k (2 i + 1) / (2 n)), f_0 = sqrt(1 / n), f_k = sqrt(2 / n)
Tensor dct(const Tensor& x);
// The inverse, which is the transpose.
Tensor inverse_dct(const Tensor& x);

// H x / sqrt(n) with H of Sylvester's order, its own inverse; n a power of two.
Tensor walsh_hadamard(const Tensor& x);

}  // namespace tweedie
