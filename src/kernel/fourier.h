#pragma once
// Discrete Fourier transforms of the lines of an image, unnormalised: X[k] = sum_n x[n] exp(-2 pi i k n / N).
// Real and imaginary parts are planes of their own, so that the inverse transform is this one with the planes
// exchanged. As many lines are worked on at a time as a vector has lanes, each lane its own line: a line's
// bits depend on no other, nor on where it lies. Lengths that are products of 2, 3 and 5 are fast; a prime
// factor p costs p operations a number.

#include <cstdint>
#include <vector>

namespace tweedie {

template <class Value>
struct Planes {
  Value* re;
  Value* im;
  int64_t stride;  // numbers from row to row
  Planes exchanged() const { return {im, re, stride}; }
};

// One pass of Stockham's algorithm: `radix` transforms interleaved, after which the lines are `before` times
// radix interleaved ones. twiddles: exp(-2 pi i m i before / N) for i in [0, after), m in [1, radix), each as
// (re, im); roots: exp(-2 pi i j / radix).
template <class Value>
struct FourierPass {
  int64_t radix, before, after;
  const Value *twiddles, *roots;
};

template <class Value>
class FourierLines {
 public:
  explicit FourierLines(int64_t n);  // n >= 1
  FourierLines(const FourierLines&) = delete;
  FourierLines& operator=(const FourierLines&) = delete;
  int64_t size() const { return n_; }

  // Both in place. Columns [begin, end) of size() rows; rows [begin, end) of size() numbers each.
  void columns(const Planes<Value>& image, int64_t begin, int64_t end) const;
  void rows(const Planes<Value>& image, int64_t begin, int64_t end) const;

 private:
  int64_t n_;
  std::vector<Value> numbers_;  // of all passes
  std::vector<FourierPass<Value>> passes_;
};

// The next length >= n that has no prime factors but 2, 3 and 5
int64_t fast_fourier_length(int64_t n);

}  // namespace tweedie
