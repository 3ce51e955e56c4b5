#pragma once
// Where the fields of a NIfTI header are.

#include "io/bytes.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tweedie {

struct NiftiLayout {
  int version;
  int32_t size;  // of the header, which is also its first number
  size_t magic, dim, dim_size, datatype, bitpix, pixdim, pixdim_size, vox_offset, slope, intercept,
      xyzt_units;
  size_t qform_code, code_size, quatern_b, srow;  // sform_code follows qform_code, qoffset the three quaterns
};
inline constexpr NiftiLayout nifti1{1, 348, 344, 40, 2, 70, 72, 76, 4, 108, 112, 116, 123, 252, 2, 256, 280};
inline constexpr NiftiLayout nifti2{2, 540, 4, 16, 8, 12, 14, 104, 8, 168, 176, 184, 500, 344, 4, 352, 400};

// One number of the header.
template <class T>
T nifti_read(ByteView bytes, size_t place, bool big_endian) {
  uint8_t raw[sizeof(T)];
  std::memcpy(raw, bytes.data() + place, sizeof(T));
  if (big_endian) std::reverse(raw, raw + sizeof(T));
  T result;
  std::memcpy(&result, raw, sizeof(T));
  return result;
}

template <class T>
void nifti_write(Bytes& bytes, size_t place, T value, bool big_endian) {
  uint8_t raw[sizeof(T)];
  std::memcpy(raw, &value, sizeof(T));
  if (big_endian) std::reverse(raw, raw + sizeof(T));
  std::copy(raw, raw + sizeof(T), bytes.begin() + static_cast<std::ptrdiff_t>(place));
}

// What is float32 in version 1 and float64 in version 2, or int16 and int64
inline double nifti_real(ByteView bytes, const NiftiLayout& layout, size_t place, bool big_endian) {
  return layout.version == 1 ? nifti_read<float>(bytes, place, big_endian)
                             : nifti_read<double>(bytes, place, big_endian);
}
inline int64_t nifti_size(ByteView bytes, const NiftiLayout& layout, size_t axis, bool big_endian) {
  const size_t place = layout.dim + axis * layout.dim_size;
  return layout.version == 1 ? nifti_read<int16_t>(bytes, place, big_endian)
                             : nifti_read<int64_t>(bytes, place, big_endian);
}

struct NiftiType {
  int16_t code;
  const char* name;
};
inline constexpr NiftiType nifti_types[] = {
    {2, "uint8"},  {4, "int16"},    {8, "int32"},    {16, "float32"}, {32, "complex64"},    {64, "float64"},
    {256, "int8"}, {512, "uint16"}, {768, "uint32"}, {1024, "int64"}, {1792, "complex128"},
};

}  // namespace tweedie
