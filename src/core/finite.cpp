#include "core/shape.h"

#include <fmt/format.h>

namespace tweedie {

namespace {

// NaN and infinity are the numbers whose exponent is all ones.
template <class Word, Word exponent>
bool finite(const Word* words, int64_t count) {
  bool result = true;
  for (int64_t i = 0; i < count; ++i) result = result & ((words[i] & exponent) != exponent);
  return result;
}

// parts: words of one number, 2 of a complex one
template <class Word, Word exponent>
void check(const Tensor& x, int64_t parts, const std::string& place) {
  const auto* words = static_cast<const Word*>(x.data_ptr());
  if (finite<Word, exponent>(words, parts * x.numel())) return;
  int64_t count = 0, first = 0;
  for (int64_t i = x.numel(); i-- > 0;) {
    if (finite<Word, exponent>(words + parts * i, parts)) continue;
    ++count;
    first = i;
  }
  Shape index(x.dim());
  for (int64_t axis = x.dim() - 1; axis >= 0; --axis) {
    index[axis] = first % x.size(axis);
    first /= x.size(axis);
  }
  throw Error(
      place,
      fmt::format("{} of {} values are NaN or infinite, the first at {}; only finite numbers are meant",
                  count, x.numel(), to_string(index)));
}

}  // namespace

void require_finite_values(const Tensor& x, const std::string& place) {
  const int64_t parts = x.is_complex() ? 2 : 1;
  switch (x.scalar_type()) {
    case at::kHalf:
      return check<uint16_t, 0x7c00>(x, parts, place);
    case at::kBFloat16:
      return check<uint16_t, 0x7f80>(x, parts, place);
    case at::kFloat:
    case at::kComplexFloat:
      return check<uint32_t, 0x7f800000>(x, parts, place);
    case at::kDouble:
    case at::kComplexDouble:
      return check<uint64_t, 0x7ff0000000000000>(x, parts, place);
    default:;  // whole numbers
  }
}

}  // namespace tweedie
