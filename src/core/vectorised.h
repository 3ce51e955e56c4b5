#pragma once
// One binary for every x86-64: vectorised<kernel>(...) runs a loop compiled for the best instruction set that
// the machine has. The kernel and all that it calls are TWEEDIE_INLINE, which puts them into each version;
// without that a helper would be compiled once, for the oldest machine.

#include <cstdint>
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

}  // namespace tweedie
