#include "kernel/sinusoids.h"

#include "core/elementary.h"

#include <algorithm>

namespace tweedie {

namespace {

using Real = Lanes<float>::Type;
using Whole = Lanes<float>::Bits;
using Half = float __attribute__((vector_size(32)));
using HalfWhole = int32_t __attribute__((vector_size(32)));
using Lanes8 = Lanes<double>::Type;

// The quarter turn nearest to x, and what x has beyond it: in double, as x may be many turns.
TWEEDIE_INLINE void nearest_quarter(Half x, HalfWhole& quarter, Half& rest) {
  constexpr double magic = 6755399441055744.0;  // 1.5 2^52: adding it rounds to an integer
  const Lanes8 wide = __builtin_convertvector(x, Lanes8);
  const Lanes8 turns = (wide * 0.63661977236758134308 + magic) - magic;
  quarter = __builtin_convertvector(turns, HalfWhole);
  rest = __builtin_convertvector(wide - turns * 1.57079632679489661923, Half);
}

TWEEDIE_INLINE void cosine_and_sine(Real x, Real& cosine, Real& sine) {
  HalfWhole quarter_low, quarter_high;
  Half low, high;
  nearest_quarter(__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7), quarter_low, low);
  nearest_quarter(__builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15), quarter_high, high);
  const Whole quarter = __builtin_shufflevector(quarter_low, quarter_high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10,
                                                11, 12, 13, 14, 15);
  const Real rest = __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
  cos_sin_lanes(quarter, rest, cosine, sine);
}

TWEEDIE_INLINE void fill(const float* x, int64_t rows, const float* f, int64_t count, float* y) {
  for (int64_t row = 0; row < rows; ++row, y += 2 * count) {
    for (int64_t i = 0; i < count; i += 16) {
      const int64_t n = std::min<int64_t>(16, count - i);
      float phase[16] = {}, cosines[16], sines[16];
      for (int64_t j = 0; j < n; ++j) phase[j] = x[row] * f[i + j];
      Real p, c, s;
      __builtin_memcpy(&p, phase, sizeof p);
      cosine_and_sine(p, c, s);
      __builtin_memcpy(cosines, &c, sizeof c);
      __builtin_memcpy(sines, &s, sizeof s);
      std::copy_n(cosines, n, y + i);
      std::copy_n(sines, n, y + count + i);
    }
  }
}

}  // namespace

void sinusoids(const float* x, int64_t rows, const float* f, int64_t count, float* y) {
  vectorised<fill>(x, rows, f, count, y);
}

}  // namespace tweedie
