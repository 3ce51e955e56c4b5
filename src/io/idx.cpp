#include "io/idx.h"

#include "core/shape.h"
#include "io/tensors.h"

#include <fmt/format.h>

namespace tweedie {

namespace {

at::ScalarType type_of(uint8_t code, const std::string& place) {
  switch (code) {
    case 0x08:
      return at::kByte;
    case 0x09:
      return at::kChar;
    case 0x0b:
      return at::kShort;
    case 0x0c:
      return at::kInt;
    case 0x0d:
      return at::kFloat;
    case 0x0e:
      return at::kDouble;
    default:
      throw Error(place,
                  fmt::format("IDX type 0x{:02x} is unknown; 08, 09, 0b, 0c, 0d and 0e are meant", code));
  }
}

}  // namespace

Tensor parse_idx(ByteView bytes, const std::string& place, uint64_t limit) {
  if (is_gzip(bytes)) {
    const Bytes unpacked = gunzip(bytes, place, limit);
    if (is_gzip(unpacked)) throw Error(place, "is in gzip twice");
    return parse_idx(unpacked, place, limit);
  }
  if (bytes.size() < 4)
    throw Error(place,
                fmt::format("truncated: {}, but an IDX header has at least 4", count_of_bytes(bytes.size())));
  if (bytes[0] != 0 || bytes[1] != 0)
    throw Error(place, "is no IDX file: it does not start with two zero bytes");
  const at::ScalarType type = type_of(bytes[2], place);
  const size_t axes = bytes[3];
  const size_t start = 4 + 4 * axes;
  if (axes > 32) throw Error(place, fmt::format("{} axes, but at most 32 are read", axes));
  if (bytes.size() < start) {
    throw Error(place, fmt::format("truncated: {}, but an IDX header of {} axes has {}",
                                   count_of_bytes(bytes.size()), axes, start));
  }
  Shape shape;
  for (size_t i = 4; i < start; i += 4) {
    shape.push_back(int64_t{bytes[i]} << 24 | bytes[i + 1] << 16 | bytes[i + 2] << 8 | bytes[i + 3]);
  }
  const uint64_t size = bytes_of(shape, c10::elementSize(type), place);
  const ByteView data = bytes.subspan(start);
  if (data.size() != size) {
    throw Error(place, fmt::format("{}: {} of data, but shape {} takes {}",
                                   data.size() < size ? "truncated" : "has trailing bytes",
                                   count_of_bytes(data.size()), to_string(shape), size));
  }
  return tensor_from(data, type, shape, true);
}

}  // namespace tweedie
