#pragma once

#include <cstdint>

namespace tweedie {

// y(row, :) = (cos(x(row) f), sin(x(row) f)), rows x 2 count, of phases rounded to float32; to 3 units in the
// last place of 1 for phases up to 1e9. count: any.
void sinusoids(const float* x, int64_t rows, const float* f, int64_t count, float* y);

}  // namespace tweedie
