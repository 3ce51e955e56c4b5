#pragma once
// Sixteen float32 at a time, from and to memory that has them as float32 or bfloat16. Images are
// (H, W, lanes): channels last, and zero channels after them up to a multiple of 16, so that no loop has a
// remainder.

#include "core/vectorised.h"

#include <bit>
#include <cstddef>
#include <new>
#include <type_traits>
#include <vector>

namespace tweedie {

using Lanes16 = Lanes<float>::Type;

// The upper half of a float32, rounded to nearest even; as c10::BFloat16 in memory.
struct Bfloat16 {
  uint16_t bits;
};

TWEEDIE_INLINE Lanes16 load16(const float* from) {
  Lanes16 v;
  __builtin_memcpy(&v, from, sizeof v);
  return v;
}
TWEEDIE_INLINE void store16(float* to, Lanes16 v) {
  __builtin_memcpy(to, &v, sizeof v);
}

TWEEDIE_INLINE Lanes16 load16(const Bfloat16* from) {
  using Halves = uint16_t __attribute__((vector_size(32)));
  using Bits = uint32_t __attribute__((vector_size(64)));
  Halves halves;
  __builtin_memcpy(&halves, from, sizeof halves);
  return (Lanes16)(__builtin_convertvector(halves, Bits) << 16);
}
TWEEDIE_INLINE void store16(Bfloat16* to, Lanes16 v) {
  using Halves = uint16_t __attribute__((vector_size(32)));
  using Bits = uint32_t __attribute__((vector_size(64)));
  Bits bits = (Bits)v;
  bits += 0x7FFFU + ((bits >> 16) & 1U);
  const Halves halves = __builtin_convertvector(bits >> 16, Halves);
  __builtin_memcpy(to, &halves, sizeof halves);
}

inline float widen(float value) {
  return value;
}
inline float widen(Bfloat16 value) {
  return std::bit_cast<float>(static_cast<uint32_t>(value.bits) << 16);
}
template <class E>
E narrow(float value) {
  if constexpr (std::is_same_v<E, float>) {
    return value;
  } else {
    const auto bits = std::bit_cast<uint32_t>(value);
    return {static_cast<uint16_t>((bits + 0x7FFFU + ((bits >> 16) & 1U)) >> 16)};
  }
}

// Numbers that begin with a cache line, as loads of a whole one take twice as long across two. They hold
// anything until they are given a value.
template <class T>
struct LineAllocator {
  using value_type = T;  // NOLINT(readability-identifier-naming): as the standard has it
  static constexpr std::align_val_t line{64};
  LineAllocator() = default;
  template <class Other>
  explicit LineAllocator(const LineAllocator<Other>&) {}
  T* allocate(size_t count) { return static_cast<T*>(::operator new(count * sizeof(T), line)); }
  void deallocate(T* memory, size_t) { ::operator delete(memory, line); }
  void construct(T* number) { ::new (number) T; }
  void construct(T* number, T value) { ::new (number) T(value); }
  bool operator==(const LineAllocator&) const { return true; }
};
using AlignedFloats = std::vector<float, LineAllocator<float>>;

constexpr int64_t round_up(int64_t n, int64_t multiple) {
  return (n + multiple - 1) / multiple * multiple;
}
constexpr int64_t lanes_of(int64_t channels) {
  return round_up(channels, 16);
}

}  // namespace tweedie
