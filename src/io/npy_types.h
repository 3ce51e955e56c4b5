#pragma once
// What an NPY file starts with, and the types of its numbers.

#include "tweedie/tensor.h"

#include <string_view>

namespace tweedie {

inline constexpr std::string_view npy_magic = "\x93NUMPY";

struct NpyType {
  std::string_view name;  // kind and bytes a number, without the byte order
  at::ScalarType stored;  // how the bytes are taken in
  at::ScalarType result;
};

inline constexpr NpyType npy_types[] = {
    {"f4", at::kFloat, at::kFloat},
    {"f8", at::kDouble, at::kDouble},
    {"i1", at::kChar, at::kChar},
    {"i2", at::kShort, at::kShort},
    {"i4", at::kInt, at::kInt},
    {"i8", at::kLong, at::kLong},
    {"u1", at::kByte, at::kByte},
    {"u2", at::kShort, at::kInt},
    {"u4", at::kInt, at::kLong},
    {"b1", at::kByte, at::kBool},
    {"c8", at::kComplexFloat, at::kComplexFloat},
    {"c16", at::kComplexDouble, at::kComplexDouble},
};

}  // namespace tweedie
