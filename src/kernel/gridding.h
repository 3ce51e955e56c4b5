#pragma once
// Spreading points onto a grid that wraps around, and reading the grid at points: transposes of each other,
// with the same numbers for weights. A point at g (in units of the grid) has weight
//   psi(u) = I_0(beta sqrt(1 - (2 u / width)^2)) / I_0(beta),  |u| <= width / 2,
// for distance u along each axis (Kaiser-Bessel; Jackson, Meyer, Nishimura, Macovski, IEEE TMI 1991).

#include "core/workers.h"
#include "kernel/fourier.h"

#include <cstdint>
#include <vector>

namespace tweedie {

struct GridKernel {
  int64_t width;  // 2 to 16 points of the grid
  double beta;

  // For a grid `oversampling` times as fine as needed and this relative accuracy: the width as in Barnett,
  // Magland, af Klinteberg, "A parallel nonuniform fast Fourier transform library", SISC 2019; beta as in
  // Beatty, Nishimura, Pauly, "Rapid gridding reconstruction with a minimal oversampling ratio", TMI 2005.
  static GridKernel for_accuracy(double tolerance, double oversampling);
  // The Fourier transform of psi at `frequency` cycles per point of the grid
  double transform(double frequency) const;
};

// A grid of rows x columns with what wraps around repeated beyond its last row and column.
template <class Value>
class WrappedGrid {
 public:
  WrappedGrid(int64_t rows, int64_t columns) : rows_(rows), columns_(columns), stride_(columns + margin) {
    numbers_.resize(2 * (rows + margin) * stride_);
  }
  static constexpr int64_t margin = 32;
  int64_t rows() const { return rows_; }
  int64_t columns() const { return columns_; }
  Planes<Value> planes() { return {numbers_.data(), numbers_.data() + numbers_.size() / 2, stride_}; }
  void clear() { std::fill(numbers_.begin(), numbers_.end(), Value(0)); }
  void repeat();  // copies the first rows and columns behind the last
  void fold();    // adds what lies behind the last to the first

 private:
  int64_t rows_, columns_, stride_;
  std::vector<Value> numbers_;
};

template <class Value>
class Gridding {
 public:
  // points: (count, 2), row and column in units of the grid, any finite numbers. rows, columns >= width.
  Gridding(const double* points, int64_t count, int64_t rows, int64_t columns, const GridKernel& kernel);

  // y (count, 2): y_j = sum over the grid, repeated, of psi psi grid
  void read(WrappedGrid<Value>& grid, Value* y) const;
  // grid += psi psi y_j, margins included. The order of the sums is the same for any number of threads.
  void spread(const Value* y, WrappedGrid<Value>& grid) const;

 private:
  static constexpr int64_t band_rows = 32;  // > width: every other band may be written at the same time
  int64_t width_, taps_;
  std::vector<int64_t> order_;  // the points, by bands of rows and then by columns
  std::vector<int64_t> bands_;  // first of each band in order_, and the end
  std::vector<int32_t> start_;  // (count, 2): first row and column that a point touches
  std::vector<Value> weight_;   // (count, 2, taps)
};

}  // namespace tweedie
