#pragma once
// The field table (core/fields.h) of the sidecar of raw files.

#include "io/raw.h"

namespace tweedie {

constexpr auto names(ByteOrder) {
  return std::array{"little", "big"};
}
constexpr auto names(AxisOrder) {
  return std::array{"C", "F"};
}
constexpr auto names(RawType) {
  return std::array{"uint8", "int8",    "uint16",  "int16",     "uint32",    "int32",
                    "int64", "float32", "float64", "complex64", "complex128"};
}

inline void fields(FieldVisitor& visit, RawSidecar& o) {
  visit(o.dtype, {"dtype", "of the numbers", {.required = true}});
  visit(o.shape, {"shape", "of the array", {.min = 0, .max = 1e12, .required = true}});
  visit(o.order, {"order", "C: the last axis is the fastest in the file; F: the first"});
  visit(o.endianness, {"endianness", "of the numbers"});
  visit(o.offset, {"offset", "bytes before the numbers", {.min = 0, .max = 1e15}});
  visit(o.slope, {"slope", "value = slope number + intercept"});
  visit(o.intercept, {"intercept", "value = slope number + intercept"});
  visit(o.units, {"units", "of the values"});
  visit(o.spacing, {"spacing", "of grid points along the last axes of the array", {.min = 0}});
  visit(o.spacing_units, {"spacing_units", "of the spacing"});
}

}  // namespace tweedie
