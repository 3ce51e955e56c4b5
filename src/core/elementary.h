#pragma once
// Elementary functions of lanes

#include "core/vectorised.h"

#include <bit>
#include <initializer_list>

namespace tweedie {

TWEEDIE_INLINE Lanes<float>::Type sqrt_lanes(Lanes<float>::Type x) {
  constexpr int lanes = Lanes<float>::count;
  float values[lanes];
  __builtin_memcpy(values, &x, sizeof x);
  // Unrolled, or with a range, it is as many instructions as lanes, not one.
#pragma clang loop unroll(disable) vectorize(enable)
  for (int i = 0; i < lanes; ++i) values[i] = __builtin_sqrtf(values[i]);  // NOLINT(modernize-loop-convert)
  __builtin_memcpy(&x, values, sizeof x);
  return x;
}

// exp(x) where x is in +-87 (float) or +-700 (double), saturating outside; relative error 2e-7 or 4e-15. 2^n
// by exponent bits, the rest by its Taylor polynomial on +-ln(2)/2.
TWEEDIE_INLINE Lanes<float>::Type exp_lanes(Lanes<float>::Type x) {
  using V = Lanes<float>::Type;
  using I = Lanes<float>::Bits;
  x = x < -87.0f ? broadcast(-87.0f) : x;
  x = x > 87.0f ? broadcast(87.0f) : x;
  constexpr float magic = 12582912.0f;  // 1.5 2^23: adding it rounds to an integer, kept in the low bits
  const V shifted = x * 1.44269504088896341f + magic;
  const V n = shifted - magic;
  const V r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
  const V p =
      1 + r * (1 + r * (0.5f + r * (1 / 6.0f + r * (1 / 24.0f + r * (1 / 120.0f + r * (1 / 720.0f))))));
  const I power = ((I)shifted - std::bit_cast<int32_t>(magic) + 127) << 23;
  return p * (V)power;
}
TWEEDIE_INLINE Lanes<double>::Type exp_lanes(Lanes<double>::Type x) {
  using V = Lanes<double>::Type;
  using I = Lanes<double>::Bits;
  x = x < -700.0 ? broadcast(-700.0) : x;
  x = x > 700.0 ? broadcast(700.0) : x;
  constexpr double magic = 6755399441055744.0;  // 1.5 2^52
  const V shifted = x * 1.4426950408889634074 + magic;
  const V n = shifted - magic;
  const V r = (x - n * 0.693147180369123816490) - n * 1.90821492927058770002e-10;
  V p = broadcast(1.0 / 6227020800.0);
  for (const double factorial : {479001600.0, 39916800.0, 3628800.0, 362880.0, 40320.0, 5040.0, 720.0, 120.0,
                                 24.0, 6.0, 2.0, 1.0, 1.0}) {
    p = p * r + 1 / factorial;
  }
  const I power = ((I)shifted - std::bit_cast<int64_t>(magic) + 1023) << 52;
  return p * (V)power;
}

// cos and sin of `quarter` quarter turns and r in +-pi/4 more: Taylor polynomials of r, to 1e-7
TWEEDIE_INLINE void cos_sin_lanes(Lanes<float>::Bits quarter, Lanes<float>::Type r,
                                  Lanes<float>::Type& cosine, Lanes<float>::Type& sine) {
  using Real = Lanes<float>::Type;
  using Bits = Lanes<float>::Bits;
  const Real z = r * r;
  const Real s = r * (1 + z * (-1 / 6.0f + z * (1 / 120.0f + z * (-1 / 5040.0f + z * (1 / 362880.0f)))));
  const Real c =
      1 + z * (-0.5f + z * (1 / 24.0f + z * (-1 / 720.0f + z * (1 / 40320.0f + z * (-1 / 3628800.0f)))));
  const Bits swap = -(quarter & 1);
  const Bits sign_cosine = ((quarter + 1) & 2) << 30, sign_sine = (quarter & 2) << 30;
  cosine = (Real)((((Bits)c & ~swap) | ((Bits)s & swap)) ^ sign_cosine);
  sine = (Real)((((Bits)s & ~swap) | ((Bits)c & swap)) ^ sign_sine);
}

}  // namespace tweedie
