#pragma once
// TIFF (revision 6.0) by libtiff: gray or RGB, one page or many of one shape.

#include "io/bytes.h"
#include "tweedie/file_format.h"

namespace tweedie {

bool is_tiff(ByteView bytes);

// One page: (C, H, W); many: (N, C, H, W), C counting alpha. Integers of 8 and 16 bits are pixels (uint8;
// float32 in [0, 65535]), those of 32 bits and floats are values. Error(place) for what is cut short, corrupt
// or of another kind (palettes, CMYK, complex numbers).
ArrayData parse_tiff(ByteView bytes, const std::string& place, uint64_t limit = unpacked_limit);

// x: (H, W), (C, H, W) or (N, C, H, W), C from 1 to 4; with the resolution and description of meta.
Bytes encode_tiff(const Tensor& x, const ArrayMeta& meta, const std::string& place);

}  // namespace tweedie
