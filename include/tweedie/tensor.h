#pragma once
// The array type of the whole library is libtorch's. Include this instead of any torch header.

#include <ATen/core/ivalue.h>  // first: clang in C++20 rejects libtorch 1.13's other headers without it

#include <torch/types.h>

#include <vector>

namespace tweedie {

using at::Tensor;
using Shape = std::vector<int64_t>;

}  // namespace tweedie
