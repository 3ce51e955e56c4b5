#pragma once
// One binary for every x86-64: vectorised<kernel>(...) runs a loop compiled for the best instruction set that
// the machine has. The kernel and all that it calls are TWEEDIE_INLINE, which puts them into each version;
// without that a helper would be compiled once, for the oldest machine.

#include <bit>
#include <cstdint>
#include <initializer_list>
#include <utility>

#define TWEEDIE_INLINE inline __attribute__((always_inline))
// Vectors cross only calls that are inlined, so the ABI of passing them does not matter.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace tweedie {

#if defined(__x86_64__)
enum class InstructionSet { baseline, avx2, avx512 };

inline InstructionSet instruction_set() {
  static const InstructionSet best = [] {
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl")) {
      return InstructionSet::avx512;
    }
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    return avx2 ? InstructionSet::avx2 : InstructionSet::baseline;
  }();
  return best;
}

template <auto kernel, class... Args>
__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))) void with_avx512(Args... args) {
  kernel(args...);
}
template <auto kernel, class... Args>
__attribute__((target("avx2,fma"))) void with_avx2(Args... args) {
  kernel(args...);
}
#endif

// kernel: a TWEEDIE_INLINE function of numbers and pointers
template <auto kernel, class... Args>
void vectorised(Args... args) {
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512) return with_avx512<kernel>(args...);
  if (instruction_set() == InstructionSet::avx2) return with_avx2<kernel>(args...);
#endif
  kernel(args...);
}

// 64 bytes of numbers: one register of the widest machines, several of the others.
template <class Value>
struct Lanes;
template <>
struct Lanes<float> {
  using Type = float __attribute__((vector_size(64)));
  using Bits = int32_t __attribute__((vector_size(64)));
  static constexpr int count = 16;
};
template <>
struct Lanes<double> {
  using Type = double __attribute__((vector_size(64)));
  using Bits = int64_t __attribute__((vector_size(64)));
  static constexpr int count = 8;
};

template <class Value>
TWEEDIE_INLINE typename Lanes<Value>::Type broadcast(Value value) {
  return value - typename Lanes<Value>::Type{};
}

// One step of a transposition: blocks of `size` lanes off the diagonal of a and b change places.
template <int size, class V, int... lane>
TWEEDIE_INLINE void swap_blocks(V& a, V& b, std::integer_sequence<int, lane...>) {
  constexpr int lanes = sizeof...(lane);
  const V first = __builtin_shufflevector(a, b, ((lane & size) ? lanes + lane - size : lane)...);
  b = __builtin_shufflevector(a, b, ((lane & size) ? lanes + lane : lane + size)...);
  a = first;
}
template <int size, int lanes, class V>
TWEEDIE_INLINE void transpose_blocks(V* v) {
  if constexpr (size < lanes) {
    for (int i = 0; i < lanes; ++i) {
      if ((i & size) == 0) swap_blocks<size>(v[i], v[i + size], std::make_integer_sequence<int, lanes>());
    }
    transpose_blocks<2 * size, lanes>(v);
  }
}
// As many vectors as each has lanes: lane j of v[i] and lane i of v[j] change places.
template <class Value>
TWEEDIE_INLINE void transpose(typename Lanes<Value>::Type* v) {
  transpose_blocks<1, Lanes<Value>::count>(v);
}

template <int half, class V, int... lane>
TWEEDIE_INLINE V fold(V v, std::integer_sequence<int, lane...> all) {
  v += __builtin_shufflevector(v, v, (lane ^ half)...);
  if constexpr (half == 1) {
    return v;
  } else {
    return fold<half / 2>(v, all);
  }
}
template <class Value>
TWEEDIE_INLINE Value sum_lanes(typename Lanes<Value>::Type v) {
  constexpr int count = Lanes<Value>::count;
  return fold<count / 2>(v, std::make_integer_sequence<int, count>())[0];
}

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

}  // namespace tweedie
