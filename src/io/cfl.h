#pragma once
// BART's pair of files (mrirecon.github.io/bart): NAME.hdr, a text with the sizes of 16 axes, the first the
// fastest, and NAME.cfl, the numbers as complex64.

#include "io/bytes.h"
#include "tweedie/file_format.h"

namespace tweedie {

// Whether a .hdr is BART's: it begins with "# Dimensions".
bool is_cfl_header(ByteView bytes);

// Axes in the reverse order, so that the last is the fastest, without those of size 1: complex64. For an
// array of dimensions (kx, ky, 1, coils): (coils, ky, kx).
ArrayData parse_cfl(ByteView header, ByteView numbers, const std::string& place);

// The pair, either of whose names may be given.
ArrayData read_cfl(const std::filesystem::path& path);

// The text of the header for x: BART's own dimensions where x has as many numbers along the axes that are
// not 1.
std::string cfl_header(const Tensor& x, const ArrayMeta& meta);
void write_cfl(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta);

}  // namespace tweedie
