#include "io/nifti.h"

#include "core/shape.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

namespace tweedie {

namespace {

constexpr int32_t header_size = 348;
constexpr size_t magic_place = 344;

// One number of the header.
template <class T>
T read_at(ByteView bytes, size_t place, bool big_endian) {
  std::array<uint8_t, sizeof(T)> raw;
  std::copy_n(bytes.begin() + static_cast<std::ptrdiff_t>(place), sizeof(T), raw.begin());
  if (big_endian) std::reverse(raw.begin(), raw.end());
  return std::bit_cast<T>(raw);
}

Tensor as_floats(ByteView data, int16_t code, const Shape& shape, bool big_endian) {
  const auto stored = [&](at::ScalarType type) { return tensor_from(data, type, shape, big_endian); };
  if (code == 2) return converted<float, uint8_t>(stored(at::kByte), at::kFloat);
  if (code == 4) return converted<float, int16_t>(stored(at::kShort), at::kFloat);
  return stored(at::kFloat);
}

}  // namespace

Tensor parse_nifti(ByteView bytes, const std::string& place, uint64_t limit) {
  if (is_gzip(bytes)) {
    const Bytes unpacked = gunzip(bytes, place, limit);
    if (is_gzip(unpacked)) throw Error(place, "is in gzip twice");
    return parse_nifti(unpacked, place, limit);
  }
  if (bytes.size() < size_t{header_size}) {
    throw Error(place, fmt::format("truncated: {}, but a NIfTI-1 header has {}", count_of_bytes(bytes.size()),
                                   header_size));
  }
  const bool big_endian = read_at<int32_t>(bytes, 0, true) == header_size;
  const bool known = big_endian || read_at<int32_t>(bytes, 0, false) == header_size;
  if (!known || std::memcmp(bytes.data() + magic_place, "n+1", 4) != 0)
    throw Error(place, "is no NIfTI-1 file in one piece (.nii)");

  const auto axes = read_at<int16_t>(bytes, 40, big_endian);
  if (axes < 1 || axes > 7) throw Error(place, fmt::format("{} axes, but 1 to 7 are meant", axes));
  Shape shape;
  for (auto axis = static_cast<size_t>(axes); axis > 0; --axis) {
    const auto size = read_at<int16_t>(bytes, 40 + 2 * axis, big_endian);
    if (size < 1) throw Error(place, fmt::format("axis {} has size {}, but >= 1 is meant", axis, size));
    shape.push_back(size);
  }
  const auto code = read_at<int16_t>(bytes, 70, big_endian);
  if (code != 2 && code != 4 && code != 16) {
    throw Error(place,
                fmt::format("NIfTI type {} is not read; 2 (uint8), 4 (int16) and 16 (float32) are", code));
  }
  const auto start = read_at<float>(bytes, 108, big_endian);
  if (!(start >= header_size && start <= static_cast<float>(bytes.size()) && start == std::floor(start)))
    throw Error(place, fmt::format("the numbers begin at {} of {}", start, count_of_bytes(bytes.size())));
  const uint64_t item = code == 2 ? 1 : code == 4 ? 2 : 4;
  const uint64_t size = bytes_of(shape, item, place);
  // A float may have rounded the file's size up.
  const ByteView data = bytes.subspan(std::min(static_cast<size_t>(start), bytes.size()));
  if (data.size() != size) {
    throw Error(place, fmt::format("{}: {} of data, but shape {} takes {}",
                                   data.size() < size ? "truncated" : "has trailing bytes",
                                   count_of_bytes(data.size()), to_string(shape), size));
  }
  const auto slope = read_at<float>(bytes, 112, big_endian);
  const auto intercept = read_at<float>(bytes, 116, big_endian);
  if (!std::isfinite(slope) || !std::isfinite(intercept))
    throw Error(place, fmt::format("slope {} and intercept {}, but finite ones are meant", slope, intercept));

  const Tensor result = as_floats(data, code, shape, big_endian);
  if (slope != 0) {  // 0: the numbers are as they are
    auto* values = static_cast<float*>(result.data_ptr());
    std::transform(values, values + size / item, values, [=](float v) { return slope * v + intercept; });
  }
  require_finite(result.data_ptr(), at::kFloat, shape, place);
  return result;
}

}  // namespace tweedie
