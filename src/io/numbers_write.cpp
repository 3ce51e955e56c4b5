#include "io/numbers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tweedie {

namespace {

Bytes in_order(const Tensor& numbers, size_t item, bool complex, bool big_endian) {
  const ByteView view = view_of(numbers);
  Bytes result(view.begin(), view.end());
  const auto word = static_cast<std::ptrdiff_t>(complex ? item / 2 : item);
  if (big_endian) {
    for (auto at = result.begin(); at != result.end(); at += word) std::reverse(at, at + word);
  }
  return result;
}

// Integers in [least, most], whose low bytes are the numbers in two's complement.
Bytes low_bytes(const Tensor& integers, size_t item, bool big_endian) {
  const auto* from = integers.data_ptr<int64_t>();
  Bytes result(static_cast<size_t>(integers.numel()) * item);
  for (int64_t i = 0; i < integers.numel(); ++i) {
    uint8_t* to = result.data() + static_cast<size_t>(i) * item;
    std::memcpy(to, from + i, item);
    if (big_endian) std::reverse(to, to + item);
  }
  return result;
}

std::pair<double, double> range_of(const NumberType& type) {
  const double bits = 8.0 * static_cast<double>(type.size);
  if (type.name[0] == 'u') return {0, std::exp2(bits) - 1};
  return {-std::exp2(bits - 1), std::exp2(bits - 1) - 1};
}

std::optional<Bytes> exact_integers(const Tensor& x, const NumberType& type, double slope, double intercept,
                                    bool big_endian) {
  const auto [least, most] = range_of(type);
  if (!x.is_floating_point() && slope == 1 && intercept == 0) {
    const Tensor whole = x.to(at::kLong).contiguous();
    const bool wide = type.size == 8;
    if (!wide && whole.numel() > 0 &&
        (whole.min().item<int64_t>() < least || whole.max().item<int64_t>() > most))
      return std::nullopt;
    return low_bytes(whole, type.size, big_endian);
  }
  const Tensor values = x.to(at::kDouble), numbers = ((values - intercept) / slope).round();
  // float64 does not hold every whole number beyond 2^53
  const double bound = std::exp2(53);
  if (!numbers.isfinite().all().item<bool>()) return std::nullopt;
  if (numbers.numel() > 0 && (numbers.min().item<double>() < std::max(least, -bound) ||
                              numbers.max().item<double>() > std::min(most, bound)))
    return std::nullopt;
  Tensor back = numbers * slope + intercept;
  const bool as_float = x.scalar_type() == at::kFloat || type.size <= 2;
  if (as_float && !at::equal(back.to(at::kFloat), values.to(at::kFloat))) return std::nullopt;
  if (!as_float && !at::equal(back, values)) return std::nullopt;
  return low_bytes(numbers.to(at::kLong).contiguous(), type.size, big_endian);
}

}  // namespace

std::optional<Bytes> exact_numbers(const Tensor& x, const NumberType& type, double slope, double intercept,
                                   bool big_endian) {
  const Tensor values = plain(x.scalar_type() == at::kBool ? x.to(at::kByte) : x);
  if (!(slope != 0)) return std::nullopt;
  const bool complex_type = c10::isComplexType(type.stored);
  if (values.is_complex() != complex_type) return std::nullopt;
  if (c10::isIntegralType(type.stored, false))
    return exact_integers(values, type, slope, intercept, big_endian);
  if (slope != 1 || intercept != 0) return std::nullopt;
  const Tensor numbers = values.to(type.stored).contiguous();
  const Tensor wide = values.is_complex() ? values.to(at::kComplexDouble) : values.to(at::kDouble);
  if (!at::equal(numbers.to(wide.scalar_type()), wide)) return std::nullopt;
  return in_order(numbers, type.size, complex_type, big_endian);
}

StoredNumbers stored_numbers(const Tensor& x, const ArrayMeta& meta, bool big_endian) {
  if (const NumberType* type = find_number_type(meta.dtype)) {
    if (auto bytes = exact_numbers(x, *type, meta.slope, meta.intercept, big_endian))
      return {type, meta.slope, meta.intercept, *std::move(bytes)};
  }
  const bool wide = meta.dtype == "float64" || meta.dtype == "complex128";
  const NumberType* type =
      find_number_type(x.is_complex() ? (wide ? "complex128" : "complex64") : (wide ? "float64" : "float32"));
  const Tensor numbers = plain(x).to(type->stored).contiguous();
  return {type, 1, 0, in_order(numbers, type->size, x.is_complex(), big_endian)};
}

Tensor complex_of_channels(const Tensor& x, int64_t channel) {
  return at::complex(x.select(channel, 0).contiguous(), x.select(channel, 1).contiguous());
}

}  // namespace tweedie
