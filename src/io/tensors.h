#pragma once
// Tensors made from what a file holds, by libc10 alone: libtorch's operators, and the half second that
// loading them takes, are not needed to read a file. All are contiguous, on the CPU.

#include "io/bytes.h"

#include <algorithm>

namespace tweedie {

// Its numbers are yet to be written.
Tensor empty_tensor(at::IntArrayRef shape, at::ScalarType type);

// A tensor with a copy of the data, which must be exactly as long as shape and type need.
// big_endian: how the numbers are stored.
Tensor tensor_from(ByteView data, at::ScalarType type, at::IntArrayRef shape, bool big_endian = false);

// Axis i of the result is axis axes[i] of x.
Tensor transposed(const Tensor& x, const Shape& axes);

// Of one shape and type, along a new first axis
Tensor stacked(const std::vector<Tensor>& tensors);

// The numbers of x, which are From in memory, as To, which type is.
template <class To, class From>
Tensor converted(const Tensor& x, at::ScalarType type) {
  Tensor result = empty_tensor(x.sizes(), type);
  const auto* from = static_cast<const From*>(x.data_ptr());
  std::transform(from, from + x.numel(), static_cast<To*>(result.data_ptr()),
                 [](From value) { return static_cast<To>(value); });
  return result;
}

}  // namespace tweedie
