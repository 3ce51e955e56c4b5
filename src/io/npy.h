#pragma once
// NPY, NumPy's file of one array: a magic number, a header that is a Python dict literal, the raw numbers.
// Format: numpy.lib.format, versions 1.0 to 3.0.

#include "io/bytes.h"

#include <optional>

namespace tweedie {

// Either byte order and either axis order. float32/64, complex64/128, int8..64, uint8 and bool keep their
// type; uint16 becomes int32 and uint32 int64, strings of n bytes uint8 with a last axis n. Error(place) for
// everything else.
Tensor parse_npy(ByteView bytes, const std::string& place);

// The length of the whole file of which these are the first bytes; none while its header is not all there.
// Error(place) for what is no NPY.
std::optional<uint64_t> npy_length(ByteView bytes, const std::string& place);

// The header that goes before the numbers of a tensor in C order; Error(place) for a dtype that NPY lacks.
Bytes npy_header(const Tensor& tensor, const std::string& place);

Bytes encode_npy(const Tensor& tensor, const std::string& place = "npy");

}  // namespace tweedie
