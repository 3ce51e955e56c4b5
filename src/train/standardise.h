#pragma once
// Rows in the units of a DataScale.

#include "tweedie/data_scale.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

// Throws Error unless both are finite and the standard deviation is above 0.
inline void require_scale(const DataScale& scale) {
  if (!(scale.std > 0 && std::isfinite(scale.std) && std::isfinite(scale.mean))) {
    throw Error("scale", fmt::format("mean {}, std {}: finite ones and a std above 0 are needed", scale.mean,
                                     scale.std));
  }
}

inline Tensor standardised(const Tensor& x, const DataScale& scale) {
  return (x - scale.mean) / scale.std;
}
inline Tensor in_data_units(const Tensor& x, const DataScale& scale) {
  return x * scale.std + scale.mean;
}

}  // namespace tweedie
