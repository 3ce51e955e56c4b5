#pragma once
// FITS, the file of astronomy (standard 4.0, 2016): headers of cards of 80 characters and big-endian numbers,
// both in blocks of 2880 bytes. Images only; read and written here because CFITSIO, which can do far more,
// loads an HTTP client and takes file names for programs to run.

#include "io/bytes.h"
#include "tweedie/file_format.h"

#include <optional>

namespace tweedie {

bool is_fits(ByteView bytes);

// The image of the header-data unit of that number, from 0, or the first that holds one: axes (..., NAXIS2,
// NAXIS1). Integers without BSCALE and BZERO are as stored; with them, float32 of up to 16 bits, else
// float64, but whole where that only makes them unsigned. Error(place) for tables and compressed images, and
// for the count of units where there is none of that number.
ArrayData parse_fits(ByteView bytes, std::optional<int64_t> unit, const std::string& place);

// One primary image with the cards of meta.header, those of the world coordinates where x is on the same
// grid.
Bytes encode_fits(const Tensor& x, const ArrayMeta& meta, const std::string& place);

}  // namespace tweedie
