#pragma once
// Plain numbers in a file that says nothing of itself, with a sidecar FILE.toml that does.

#include "core/fields.h"
#include "io/bytes.h"
#include "tweedie/file_format.h"

#include <optional>

namespace tweedie {

enum class ByteOrder { little, big };
enum class AxisOrder { c, fortran };
enum class RawType {
  uint8,
  int8,
  uint16,
  int16,
  uint32,
  int32,
  int64,
  float32,
  float64,
  complex64,
  complex128
};

// Keys of the sidecar
struct RawSidecar {
  RawType dtype = RawType::float32;
  Shape shape;                     // of the array
  AxisOrder order = AxisOrder::c;  // c: the last axis is the fastest in the file
  ByteOrder endianness = ByteOrder::little;
  int64_t offset = 0;               // bytes before the numbers
  double slope = 1, intercept = 0;  // value = slope number + intercept
  std::string units, spacing_units;
  std::vector<double> spacing;  // along the last axes of the array
};

std::filesystem::path sidecar_of(const std::filesystem::path& path);

// place: the sidecar's name
RawSidecar parse_sidecar(std::string_view text, const std::string& place);
// C order. Types as of NPY; with a slope or an intercept, floats.
ArrayData parse_raw(ByteView numbers, const RawSidecar& sidecar, const std::string& place);
ArrayData read_raw(const std::filesystem::path& path);

// The sidecar's text and the numbers, of a file like that of `meta`.
struct RawFile {
  std::string sidecar;
  Bytes numbers;
};
RawFile encode_raw(const Tensor& x, const ArrayMeta& meta);
void write_raw(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta);

}  // namespace tweedie
