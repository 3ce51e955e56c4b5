#pragma once

#include "core/vectorised.h"

namespace tweedie {

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
