#pragma once
// GroupNorm, affine modulation and SiLU in one pass over memory, with its own derivative: between
// convolutions these cost more than the convolutions when each is a pass of its own.

#include "tweedie/tensor.h"

namespace tweedie {

// y = silu(scale * (x - mean) / sqrt(variance + 1e-5) + shift), mean and variance over each row's groups of
// channels (Wu & He 2018, eq. 7). x: (B, C, H, W); scale, shift: (B or 1, C). Differentiable once in all
// three. float32 and bfloat16 on the CPU take the fused path, everything else the same formula in separate
// operations.
Tensor norm_silu(const Tensor& x, const Tensor& scale, const Tensor& shift, int64_t groups);

// The formula in separate operations, any dtype and device, differentiable any number of times.
Tensor norm_silu_reference(const Tensor& x, const Tensor& scale, const Tensor& shift, int64_t groups);

}  // namespace tweedie
