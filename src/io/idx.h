#pragma once
// IDX, the file of one array that MNIST and its kin come in: two zeros, a type, the number of axes, the
// sizes, the numbers; all big-endian.

#include "io/bytes.h"

namespace tweedie {

// Plain or in gzip. uint8, int8, int16, int32, float32 or float64. Error(place) for anything else.
Tensor parse_idx(ByteView bytes, const std::string& place, uint64_t limit = unpacked_limit);

}  // namespace tweedie
