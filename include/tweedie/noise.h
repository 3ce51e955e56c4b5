#pragma once
// Counter-based randomness: a value is a function of (seed, stream, draw, step, position) and of nothing
// else, so draw 17 is the same draw at any batch size, thread count and order, and after a resume. There is
// no global generator: whoever needs randomness is given a Noise. Generator: Philox4x32-10 (Salmon, Moraes,
// Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011).

#include "tweedie/tensor.h"

#include <array>
#include <cstdint>
#include <vector>

namespace tweedie {

// The raw block function: 128 random bits from a 128-bit counter and a 64-bit key.
std::array<uint32_t, 4> philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key);

// What a stream of randomness is for; each use draws from its own.
enum class Stream : uint32_t {
  initial = 1,
  sampler,
  measurement,
  truth,
  weights,
  order,
  diffusion,
  metric,
  user,
  resampling,
  augmentation
};

class Noise {
 public:
  explicit Noise(uint64_t seed) : key_(seed) {}

  // An independent generator, at step 0, for the same rows.
  Noise stream(Stream purpose) const { return stream(static_cast<uint64_t>(purpose)); }
  Noise stream(uint64_t id) const;

  // The same generator, for which row i of every array belongs to draw draws[i]; without it, to draw i.
  Noise rows(std::vector<uint64_t> draws) const;

  // shape[0] is the axis of the draws. Each call advances the step by one. dtype float32 or float64.
  Tensor normal(at::IntArrayRef shape, at::ScalarType dtype);   // N(0, 1)
  Tensor uniform(at::IntArrayRef shape, at::ScalarType dtype);  // U(0, 1), never 0 or 1
  Tensor normal_like(const Tensor& x);                          // of x's shape, dtype and device

  // 64 random bits for each row; advances the step.
  std::vector<uint64_t> bits(int64_t rows);
  // Uniform permutation of 0 .. n-1 (Fisher-Yates); advances the step.
  std::vector<int64_t> permutation(int64_t n);

  // The step that the next call uses; seek() to it resumes the sequence.
  uint32_t step() const { return step_; }
  void seek(uint32_t step) { step_ = step; }

 private:
  template <class Fill>
  Tensor fill(at::IntArrayRef shape, at::ScalarType dtype, Fill fill);
  void require_rows(int64_t rows) const;
  uint64_t draw_of(int64_t row) const { return rows_.empty() ? static_cast<uint64_t>(row) : rows_[row]; }
  std::array<uint32_t, 4> block(uint64_t draw, uint32_t index) const;

  uint64_t key_;
  uint32_t step_ = 0;
  std::vector<uint64_t> rows_;
};

}  // namespace tweedie
