#pragma once
// NIfTI-1 (Cox et al. 2004), the file of medical volumes, in one piece (.nii): a header of 348 bytes in
// either byte order, then the numbers, x fastest.

#include "io/bytes.h"

namespace tweedie {

// float32 (..., z, y, x), scaled by the header's slope and intercept. Plain or in gzip; uint8, int16 or
// float32. Error(place) for anything else, and where a number is not finite.
Tensor parse_nifti(ByteView bytes, const std::string& place, uint64_t limit = unpacked_limit);

}  // namespace tweedie
