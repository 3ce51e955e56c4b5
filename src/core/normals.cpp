// Philox4x32-10 and the Box-Muller map, sixteen counters side by side. Compiled without contraction of
// products and sums, so that every machine has the same bits.

#include "core/normals.h"

#include "core/vectorised.h"

#include <algorithm>

namespace tweedie {

namespace {

using Word = uint32_t __attribute__((vector_size(64)));
using Wide = uint64_t __attribute__((vector_size(64)));
using Real = Lanes<float>::Type;
using Whole = Lanes<float>::Bits;
constexpr int lanes = 16;

// High and low halves of a * m, lane by lane, through the products of even and odd lanes.
TWEEDIE_INLINE void multiply(Word a, uint64_t m, Word& high, Word& low) {
  const Wide even = ((Wide)a & 0xFFFFFFFFu) * m, odd = ((Wide)a >> 32) * m;
  high = (Word)((even >> 32) | (odd & 0xFFFFFFFF00000000u));
  low = (Word)((even & 0xFFFFFFFFu) | (odd << 32));
}

TWEEDIE_INLINE void philox_lanes(Word c[4], uint32_t k0, uint32_t k1) {
  for (int round = 0; round < 10; ++round) {
    Word high0, low0, high1, low1;
    multiply(c[0], 0xD2511F53, high0, low0);
    multiply(c[2], 0xCD9E8D57, high1, low1);
    c[0] = high1 ^ c[1] ^ k0;
    c[1] = low1;
    c[2] = high0 ^ c[3] ^ k1;
    c[3] = low0;
    k0 += 0x9E3779B9;
    k1 += 0xBB67AE85;
  }
}

// log(x) for positive normal x, to 2 units in the last place: x = 2^e (1 + f), f in [sqrt(1/2) - 1, sqrt(2) -
// 1], and the atanh series in f / (2 + f)
TWEEDIE_INLINE Real log_lanes(Real x) {
  Whole bits = (Whole)x;
  // 0x3F3504F3 is sqrt(1/2): the exponent of x / sqrt(1/2), rounded down
  const Whole e = (bits - 0x3F3504F3) >> 23;
  const Real f = (Real)(bits - (e << 23)) - 1;
  const Real s = f / (2 + f), z = s * s;
  const Real series = z * (2.0f / 3 + z * (2.0f / 5 + z * (2.0f / 7 + z * (2.0f / 9))));
  const Real exponent = __builtin_convertvector(e, Real);
  return exponent * 0.693359375f + ((2 * s + s * series) + exponent * -2.12194440e-4f);
}

// Two normals from 64 bits: radius sqrt(-2 log u) at an angle of v turns, u and v of 31 bits.
TWEEDIE_INLINE void box_muller(Word a, Word b, Real& first, Real& second) {
  const Real u = (__builtin_convertvector((Whole)(a >> 1), Real) + 0.5f) * 0x1p-31f;
  const Real square = -2 * log_lanes(u);
  Real radius;
  for (int i = 0; i < lanes; ++i) radius[i] = __builtin_sqrtf(square[i] > 0 ? square[i] : 0);
  // The angle from the nearest quarter turn, in +-pi/4
  const Whole turn = (Whole)(b >> 1), quarter = (turn + (1 << 28)) >> 29;
  const Real r = __builtin_convertvector(turn - (quarter << 29), Real) * (1.57079632679f * 0x1p-29f);
  const Real z = r * r;
  const Real sine = r * (1 + z * (-1 / 6.0f + z * (1 / 120.0f + z * (-1 / 5040.0f + z * (1 / 362880.0f)))));
  const Real cosine =
      1 + z * (-0.5f + z * (1 / 24.0f + z * (-1 / 720.0f + z * (1 / 40320.0f + z * (-1 / 3628800.0f)))));
  const Whole swap = -(quarter & 1);
  const Whole sign_cosine = ((quarter + 1) & 2) << 30, sign_sine = (quarter & 2) << 30;
  const Whole c = (((Whole)cosine & ~swap) | ((Whole)sine & swap)) ^ sign_cosine;
  const Whole s = (((Whole)sine & ~swap) | ((Whole)cosine & swap)) ^ sign_sine;
  first = radius * (Real)c;
  second = radius * (Real)s;
}

TWEEDIE_CLONES void fill(uint64_t key, uint32_t step, const uint64_t* draws, int64_t rows, int64_t size,
                         float* out) {
  const int64_t per_row = (size + 3) / 4, blocks = rows * per_row;
  int64_t row = 0, index = 0;  // of the next block
  for (int64_t begin = 0; begin < blocks; begin += lanes) {
    const int64_t used = std::min<int64_t>(lanes, blocks - begin);
    uint32_t counter[3][lanes] = {};
    float* target[lanes] = {};
    int64_t room[lanes] = {};
    for (int64_t i = 0; i < used; ++i) {
      const uint64_t draw = draws == nullptr ? static_cast<uint64_t>(row) : draws[row];
      counter[0][i] = static_cast<uint32_t>(index);
      counter[1][i] = static_cast<uint32_t>(draw);
      counter[2][i] = static_cast<uint32_t>(draw >> 32);
      target[i] = out + row * size + 4 * index;
      room[i] = std::min<int64_t>(4, size - 4 * index);
      if (++index == per_row) index = 0, ++row;
    }
    Word c[4] = {{}, Word{} + step, {}, {}};
    __builtin_memcpy(&c[0], counter[0], sizeof(Word));
    __builtin_memcpy(&c[2], counter[1], sizeof(Word));
    __builtin_memcpy(&c[3], counter[2], sizeof(Word));
    philox_lanes(c, static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
    Real z[4];
    box_muller(c[0], c[1], z[0], z[1]);
    box_muller(c[2], c[3], z[2], z[3]);
    for (int64_t i = 0; i < used; ++i) {
      if (room[i] == 4) {
        for (int j = 0; j < 4; ++j) target[i][j] = z[j][i];
      } else {
        for (int64_t j = 0; j < room[i]; ++j) target[i][j] = z[j][i];
      }
    }
  }
}

}  // namespace

void fill_normals(uint64_t key, uint32_t step, const uint64_t* draws, int64_t rows, int64_t size,
                  float* out) {
  fill(key, step, draws, rows, size, out);
}

}  // namespace tweedie
