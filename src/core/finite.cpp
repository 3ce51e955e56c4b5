#include "core/shape.h"

#include <fmt/format.h>

#include <cstring>

namespace tweedie {

namespace {

// NaN and infinity are the numbers whose exponent is all ones. The data may lie anywhere in a file's bytes.
template <class Word, Word exponent>
bool finite(const uint8_t* data, int64_t count) {
  bool result = true;
  for (int64_t i = 0; i < count; ++i) {
    Word word;
    std::memcpy(&word, data + i * sizeof(Word), sizeof(Word));
    result = result & ((word & exponent) != exponent);
  }
  return result;
}

// parts: words of one number, 2 of a complex one
template <class Word, Word exponent>
void check(const void* data, int64_t parts, at::IntArrayRef shape, const std::string& place) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  const int64_t size = product(shape);
  if (finite<Word, exponent>(bytes, parts * size)) return;
  int64_t count = 0, first = 0;
  for (int64_t i = size; i-- > 0;) {
    if (finite<Word, exponent>(bytes + i * parts * sizeof(Word), parts)) continue;
    ++count;
    first = i;
  }
  Shape index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0;) {
    index[axis] = first % shape[axis];
    first /= shape[axis];
  }
  throw Error(
      place,
      fmt::format("{} of {} values are NaN or infinite, the first at {}; only finite numbers are meant",
                  count, size, to_string(index)));
}

}  // namespace

void require_finite(const void* data, at::ScalarType type, at::IntArrayRef shape, const std::string& place) {
  const int64_t parts = c10::isComplexType(type) ? 2 : 1;
  switch (type) {
    case at::kHalf:
      return check<uint16_t, 0x7c00>(data, parts, shape, place);
    case at::kBFloat16:
      return check<uint16_t, 0x7f80>(data, parts, shape, place);
    case at::kFloat:
    case at::kComplexFloat:
      return check<uint32_t, 0x7f800000>(data, parts, shape, place);
    case at::kDouble:
    case at::kComplexDouble:
      return check<uint64_t, 0x7ff0000000000000>(data, parts, shape, place);
    default:;  // whole numbers
  }
}

}  // namespace tweedie
