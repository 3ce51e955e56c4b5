#pragma once
// Shapes in words, and the checks that every public function makes.

#include "tweedie/error.h"
#include "tweedie/tensor.h"

#include <string>

namespace tweedie {

// "(3, 28, 28)"
std::string to_string(at::IntArrayRef shape);

int64_t product(at::IntArrayRef shape);

// (B, *shape)
Shape with_batch(int64_t batch, at::IntArrayRef shape);

// Rows of this shape that walk or are learned from together on one thread: 16 images, more of what is
// smaller, so that the work on them outweighs the calls around it while it stays in the core's cache. A GPU
// takes 4 times as many.
int64_t rows_together(at::IntArrayRef shape, at::Device device = at::kCPU);

// Throws Error(place) unless x is (B, *shape).
void require_batch_of(const Tensor& x, at::IntArrayRef shape, const std::string& place);

// Throws Error(place) when x holds NaN or infinity, naming how many and where the first is.
void require_finite(const Tensor& x, const std::string& place);

// The same for the contiguous numbers of an array, without libtorch's operators.
void require_finite(const void* data, at::ScalarType type, at::IntArrayRef shape, const std::string& place);

// Throws Error(place) unless x is float32 or float64.
void require_real(const Tensor& x, const std::string& place);

}  // namespace tweedie
