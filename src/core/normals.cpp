// Philox4x32-10 and the Box-Muller map, sixteen counters side by side. Compiled without contraction of
// products and sums, so that every machine has the same bits.

#include "core/normals.h"

#include "core/elementary.h"

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
  // Shuffles, since compilers turn a shift of a product into a product of 64 bits, which is three
  // instructions.
  const Word e = (Word)even, o = (Word)odd;
  low = __builtin_shufflevector(e, o, 0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30);
  high = __builtin_shufflevector(e, o, 1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31);
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
  const Real radius = sqrt_lanes(square > 0 ? square : Real{});
  // The angle from the nearest quarter turn, in +-pi/4
  const Whole turn = (Whole)(b >> 1), quarter = (turn + (1 << 28)) >> 29;
  const Real r = __builtin_convertvector(turn - (quarter << 29), Real) * (1.57079632679f * 0x1p-29f);
  Real cosine, sine;
  cos_sin_lanes(quarter, r, cosine, sine);
  first = radius * cosine;
  second = radius * sine;
}

// a in the lanes where the mask is set, b elsewhere
TWEEDIE_INLINE Word choose(Word mask, uint32_t a, uint32_t b) {
  return (mask & a) | (~mask & b);
}

// z_0 .. z_3 of sixteen blocks to the numbers of block 0, block 1, ...
TWEEDIE_INLINE void interleave(const Real z[4], float* out) {
  const auto low = [](Real a, Real b) {
    return __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  };
  const auto high = [](Real a, Real b) {
    return __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  };
  const Real even_low = low(z[0], z[2]), even_high = high(z[0], z[2]);
  const Real odd_low = low(z[1], z[3]), odd_high = high(z[1], z[3]);
  const Real result[4] = {low(even_low, odd_low), high(even_low, odd_low), low(even_high, odd_high),
                          high(even_high, odd_high)};
  __builtin_memcpy(out, result, sizeof result);
}

TWEEDIE_INLINE void fill(uint64_t key, uint32_t step, const uint64_t* draws, int64_t rows, int64_t size,
                         float* out) {
  const int64_t per_row = (size + 3) / 4, blocks = rows * per_row;
  const Whole one_by_one = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  const auto draw_of = [=](int64_t i) { return draws == nullptr ? static_cast<uint64_t>(i) : draws[i]; };
  int64_t row = 0, index = 0;  // of the next block
  for (int64_t begin = 0; begin < blocks; begin += lanes) {
    const int64_t used = std::min<int64_t>(lanes, blocks - begin);
    float* const first = out + row * size + 4 * index;
    const bool whole = used == lanes && per_row >= lanes && size % 4 == 0;  // no gaps, at most two rows
    Word c[4] = {{}, Word{} + step, {}, {}};
    float* target[lanes] = {};
    int64_t room[lanes] = {};
    if (whole) {
      const Whole at = one_by_one + static_cast<int32_t>(index);
      const Whole next = at >= static_cast<int32_t>(per_row);
      const bool crosses = index + lanes > per_row;
      const uint64_t here = draw_of(row), there = crosses ? draw_of(row + 1) : here;
      c[0] = (Word)(at - (next & static_cast<int32_t>(per_row)));
      c[2] = choose((Word)next, static_cast<uint32_t>(there), static_cast<uint32_t>(here));
      c[3] = choose((Word)next, static_cast<uint32_t>(there >> 32), static_cast<uint32_t>(here >> 32));
      index += lanes;
      if (index >= per_row) index -= per_row, ++row;
    } else {
      for (int64_t i = 0; i < used; ++i) {
        const uint64_t draw = draw_of(row);
        c[0][i] = static_cast<uint32_t>(index);
        c[2][i] = static_cast<uint32_t>(draw);
        c[3][i] = static_cast<uint32_t>(draw >> 32);
        target[i] = out + row * size + 4 * index;
        room[i] = std::min<int64_t>(4, size - 4 * index);
        if (++index == per_row) index = 0, ++row;
      }
    }
    philox_lanes(c, static_cast<uint32_t>(key), static_cast<uint32_t>(key >> 32));
    Real z[4];
    box_muller(c[0], c[1], z[0], z[1]);
    box_muller(c[2], c[3], z[2], z[3]);
    if (whole) {
      interleave(z, first);
      continue;
    }
    float numbers[4 * lanes];
    interleave(z, numbers);
    for (int64_t i = 0; i < used; ++i) std::copy_n(numbers + 4 * i, room[i], target[i]);
  }
}

}  // namespace

void fill_normals(uint64_t key, uint32_t step, const uint64_t* draws, int64_t rows, int64_t size,
                  float* out) {
  vectorised<fill>(key, step, draws, rows, size, out);
}

}  // namespace tweedie
