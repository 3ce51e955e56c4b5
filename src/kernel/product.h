#pragma once
// Matrix products of small matrices on one thread. The sum over k is taken in order for every element, so
// that an element's bits depend on its row of a and its column of b alone.

#include "kernel/lanes.h"

#include <cstdint>
#include <vector>

namespace tweedie {

// a(i, l) = data[i * row + l * column], one of them 1
struct StridedMatrix {
  const float* data;
  int64_t row, column = 1;
};

// b(l, j) = data[(j / 32) * panel + l * row + j % 32]: columns in panels of 32. A matrix stored row by row is
// one with panel = 32.
struct PanelMatrix {
  const float* data;
  int64_t row, panel;
};

constexpr int64_t panel_columns = 32;

// What is added to a product, each null for none: a matrix in memory as the product, which may be it, and a
// row, the same for all. Both are added to each other first.
struct Addend {
  const float *all = nullptr, *row = nullptr;
  Addend at(int64_t in_all, int64_t in_row) const {
    return {all == nullptr ? nullptr : all + in_all, row == nullptr ? nullptr : row + in_row};
  }
};

// c = a b + addend; c is m x n with rows `c_row` apart, a m x k, b k x n. n: a multiple of 16.
void multiply(StridedMatrix a, PanelMatrix b, float* c, int64_t c_row, int64_t m, int64_t k, int64_t n,
              Addend addend = {});

// A k x n matrix in panels of its own, filled up with zero columns.
class PackedMatrix {
 public:
  // value(l, j) = data[l * row + j * column]
  PackedMatrix(const float* data, int64_t row, int64_t column, int64_t k, int64_t n);
  PanelMatrix view() const { return {values_.data(), panel_columns, k_ * panel_columns}; }
  int64_t rows() const { return k_; }
  int64_t columns() const { return lanes_of(n_); }  // with the zeros that multiply() needs

  // The same into memory of packed_size(k, n) numbers
  static void pack(const float* data, int64_t row, int64_t column, int64_t k, int64_t n, float* packed);
  static int64_t packed_size(int64_t k, int64_t n) { return round_up(n, panel_columns) * k; }

 private:
  int64_t k_, n_;
  AlignedFloats values_;
};

}  // namespace tweedie
