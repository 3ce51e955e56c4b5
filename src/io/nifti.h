#pragma once
// NIfTI-1 and NIfTI-2 (Cox et al. 2004; nifti.nimh.nih.gov), the file of medical volumes, in one piece
// (.nii): a header of 348 or 540 bytes in either byte order, extensions, then the numbers, x fastest.

#include "io/bytes.h"
#include "tweedie/file_format.h"

namespace tweedie {

// Whether it begins as one does.
bool is_nifti(ByteView bytes);

// (..., z, y, x), scaled by the header's slope and intercept: float32 of numbers up to 16 bits and of
// float32, else float64, or complex. The affine is that of the sform, else of the qform; units are those of
// space. Plain or in gzip. Error(place) for other types, and where a number is not finite.
ArrayData parse_nifti_data(ByteView bytes, const std::string& place, uint64_t limit = unpacked_limit);
Tensor parse_nifti(ByteView bytes, const std::string& place, uint64_t limit = unpacked_limit);

// A file like the one that `meta` is of; where it is of another format, NIfTI-1 with meta's affine and
// spacing. x: 1 to 7 axes; in gzip where the place ends in .gz.
Bytes encode_nifti(const Tensor& x, const ArrayMeta& meta, const std::string& place);

// A file in gzip that holds no time, so that equal contents are equal files.
Bytes gzipped(ByteView bytes, const std::string& place);

// "RAS", "LPI", ...: the direction that each of x, y and z of a 3 x 4 affine goes most along
std::string orientation_of(const std::vector<double>& affine);

}  // namespace tweedie
