#pragma once
// Sixteen float32 at a time, from and to memory. Images are (H, W, lanes) in float32: channels last, and zero
// channels after them up to a multiple of 16, so that no loop has a remainder.

#include "core/vectorised.h"

namespace tweedie {

using Lanes16 = Lanes<float>::Type;

TWEEDIE_INLINE Lanes16 load16(const float* from) {
  Lanes16 v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
TWEEDIE_INLINE void store16(float* to, Lanes16 v) {
  __builtin_memcpy(to, &v, sizeof v);
}

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
constexpr int64_t lanes_of(int64_t channels) {
  return round_up(channels, 16);
}

}  // namespace tweedie
