#pragma once
// Standard normal numbers in bulk, in float32: four to a block of the generator, sixteen blocks at a time.

#include <cstdint>

namespace tweedie {

// out (rows, size): the numbers of step `step` for draw draws[row]; draws null: row's own number
void fill_normals(uint64_t key, uint32_t step, const uint64_t* draws, int64_t rows, int64_t size, float* out);

}  // namespace tweedie
