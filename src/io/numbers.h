#pragma once
// Numbers as files of many formats store them: the types, and what becomes of them.

#include "io/bytes.h"
#include "tweedie/file_format.h"

#include <optional>
#include <string_view>

namespace tweedie {

struct NumberType {
  std::string_view name;  // as NumPy calls it
  size_t size;            // bytes of one
  at::ScalarType stored;  // how its bytes are taken in
  at::ScalarType result;  // what they become: unsigned types that libtorch lacks get a wider one
};

inline constexpr NumberType number_types[] = {
    {"uint8", 1, at::kByte, at::kByte},
    {"int8", 1, at::kChar, at::kChar},
    {"uint16", 2, at::kShort, at::kInt},
    {"int16", 2, at::kShort, at::kShort},
    {"uint32", 4, at::kInt, at::kLong},
    {"int32", 4, at::kInt, at::kInt},
    {"int64", 8, at::kLong, at::kLong},
    {"float32", 4, at::kFloat, at::kFloat},
    {"float64", 8, at::kDouble, at::kDouble},
    {"complex64", 8, at::kComplexFloat, at::kComplexFloat},
    {"complex128", 16, at::kComplexDouble, at::kComplexDouble},
};

// nullptr when there is none of that name
const NumberType* find_number_type(std::string_view name);

// data is exactly as long as shape and type need.
Tensor numbers_from(ByteView data, const NumberType& type, at::IntArrayRef shape, bool big_endian);

// slope n + intercept of the numbers n, computed in float64: float32 of integers up to 16 bits and of
// float32, else float64; complex numbers of their own type.
Tensor floats_from(ByteView data, const NumberType& type, at::IntArrayRef shape, bool big_endian,
                   double slope, double intercept);

// The numbers that a file of `type` holds for the values of x, or nothing when they can't be had back
// exactly.
std::optional<Bytes> exact_numbers(const Tensor& x, const NumberType& type, double slope, double intercept,
                                   bool big_endian);

// How x is stored in a file like that of `meta`: in its type where exact, else as float32, or complex64 where
// x is complex. Complex types of the file are not kept for a real x.
struct StoredNumbers {
  const NumberType* type;
  double slope, intercept;
  Bytes bytes;
};
StoredNumbers stored_numbers(const Tensor& x, const ArrayMeta& meta, bool big_endian);

// x of two channels, the real and the imaginary part, as complex numbers (..., H, W); channel: which axis.
Tensor complex_of_channels(const Tensor& x, int64_t channel);

}  // namespace tweedie
