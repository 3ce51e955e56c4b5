#include "kernel/product.h"

#include <algorithm>
#include <utility>

namespace tweedie {

namespace {

// Some rows of a matrix, column by column. Where the rows are contiguous, three share a pointer: p, p + row
// and p + 2 row are addresses of one instruction. Compilers would rather have a chain of additions to each.
template <int rows>
class Rows {
 public:
  static constexpr int unrolled = 4;
  explicit TWEEDIE_INLINE Rows(StridedMatrix a) : row_(a.row) {
    for (int i = 0; i < pointers; ++i) from_[i] = a.data + 3 * i * row_;
  }
  TWEEDIE_INLINE float at(int i, int column) const { return from_[i / 3][i % 3 * row_ + column]; }
  TWEEDIE_INLINE void advance(int columns) { advance_from<0>(columns); }

 private:
  static constexpr int pointers = (rows + 2) / 3;
  template <int i>
  TWEEDIE_INLINE void advance_from(int columns) {
    if constexpr (i < pointers) {
      from_[i] += columns;
      asm("" : "+r"(from_[i]));
      advance_from<i + 1>(columns);
    }
  }
  const float* from_[pointers];
  int64_t row_;
};
// Where the columns are contiguous
template <int rows>
class Columns {
 public:
  static constexpr int unrolled = 1;
  explicit TWEEDIE_INLINE Columns(StridedMatrix a) : from_(a.data), column_(a.column) {}
  TWEEDIE_INLINE float at(int i, int) const { return from_[i]; }
  TWEEDIE_INLINE void advance(int) { from_ += column_; }

 private:
  const float* from_;
  int64_t column_;
};

// Written out by recursion: whether to unroll a loop as long as these is left to the compiler's judgement,
// and what it does not unroll is not held in registers.
template <int i, int rows, int vectors, class Left>
TWEEDIE_INLINE void add_rows(const Left& left, int column, const Lanes16 (&right)[vectors],
                             Lanes16 (&sum)[rows][vectors]) {
  if constexpr (i < rows) {
    const Lanes16 value = broadcast(left.at(i, column));
    for (int v = 0; v < vectors; ++v) sum[i][v] += value * right[v];
    add_rows<i + 1>(left, column, right, sum);
  }
}
template <int column, int columns, int rows, int vectors, class Left>
TWEEDIE_INLINE void add_columns(const Left& left, const float* b, int64_t b_row,
                                Lanes16 (&sum)[rows][vectors]) {
  if constexpr (column < columns) {
    Lanes16 right[vectors];
    for (int v = 0; v < vectors; ++v) right[v] = load16(b + 16 * v);
    add_rows<0>(left, column, right, sum);
    add_columns<column + 1, columns>(left, b + b_row, b_row, sum);
  }
}

// rows x 16 vectors of c are held in registers while k runs.
template <int rows, int vectors, class Left>
TWEEDIE_INLINE void tile(Left left, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t k,
                         Addend more) {
  Lanes16 sum[rows][vectors];
  for (auto& row : sum) {
    for (Lanes16& v : row) v = Lanes16{};
  }
  // While k runs, what it ends with comes nearer.
  for (int i = 0; i < rows; ++i) {
    for (int v = 0; v < vectors; ++v) {
      const int64_t at = i * c_row + 16 * v;
      __builtin_prefetch(c + at, 1);
      if (more.all != nullptr && more.all != c) __builtin_prefetch(more.all + at);
    }
  }
  int64_t l = 0;
  for (; l + Left::unrolled <= k; l += Left::unrolled, b += Left::unrolled * b_row) {
    add_columns<0, Left::unrolled>(left, b, b_row, sum);
    left.advance(Left::unrolled);
  }
  for (; l < k; ++l, b += b_row) {
    add_columns<0, 1>(left, b, b_row, sum);
    left.advance(1);
  }
  for (int v = 0; v < vectors; ++v) {
    for (int i = 0; i < rows; ++i) {
      const int64_t at = i * c_row + 16 * v;
      if (more.all != nullptr && more.row != nullptr) {
        sum[i][v] += load16(more.all + at) + load16(more.row + 16 * v);
      } else if (more.all != nullptr) {
        sum[i][v] += load16(more.all + at);
      } else if (more.row != nullptr) {
        sum[i][v] += load16(more.row + 16 * v);
      }
      store16(c + at, sum[i][v]);
    }
  }
}

// `rows` of them where that is a compiled number, at most `most`
template <int most, int vectors>
TWEEDIE_INLINE void tile_of(int64_t rows, StridedMatrix a, const float* b, int64_t b_row, float* c,
                            int64_t c_row, int64_t k, Addend more) {
  if constexpr (most > 1) {
    if (rows < most) return tile_of<most - 1, vectors>(rows, a, b, b_row, c, c_row, k, more);
  }
  if (a.column == 1) {
    tile<most, vectors>(Rows<most>(a), b, b_row, c, c_row, k, more);
  } else {
    tile<most, vectors>(Columns<most>(a), b, b_row, c, c_row, k, more);
  }
}

// In as few tiles of at most `most` rows as can be, as equal as can be: the units that multiply wait for each
// other where a tile is low.
template <int most, int vectors>
TWEEDIE_INLINE void panel(StridedMatrix a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t m,
                          int64_t k, Addend more) {
  const int64_t tiles = (m + most - 1) / most;
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t end = (i + 1) * m / tiles;
    tile_of<most, vectors>(end - begin, {a.data + begin * a.row, a.row, a.column}, b, b_row,
                           c + begin * c_row, c_row, k, more.at(begin * c_row, 0));
    begin = end;
  }
}

template <int most>
TWEEDIE_INLINE void panels(StridedMatrix a, PanelMatrix b, float* c, int64_t c_row, int64_t m, int64_t k,
                           int64_t n, Addend more) {
  for (int64_t j = 0; j < n; j += panel_columns) {
    const float* from = b.data + j / panel_columns * b.panel;
    if (n - j >= panel_columns) {
      panel<most, 2>(a, from, b.row, c + j, c_row, m, k, more.at(j, j));
    } else {
      panel<most, 1>(a, from, b.row, c + j, c_row, m, k, more.at(j, j));
    }
  }
}

// panel(l, j) = from[j * stride + l] for 16 l and a panel's columns
TWEEDIE_INLINE void transpose_rows(const float* from, int64_t stride, float* panel) {
  for (int64_t begin = 0; begin < panel_columns; begin += 16) {
    Lanes16 v[16];
    for (int64_t j = 0; j < 16; ++j) v[j] = load16(from + (begin + j) * stride);
    transpose<float>(v);
    for (int64_t l = 0; l < 16; ++l) store16(panel + l * panel_columns + begin, v[l]);
  }
}

}  // namespace

// As many rows as there are registers for.
void multiply(StridedMatrix a, PanelMatrix b, float* c, int64_t c_row, int64_t m, int64_t k, int64_t n,
              Addend more) {
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512)
    return with_avx512<panels<14>>(a, b, c, c_row, m, k, n, more);
  if (instruction_set() == InstructionSet::avx2) return with_avx2<panels<3>>(a, b, c, c_row, m, k, n, more);
#endif
  panels<1>(a, b, c, c_row, m, k, n, more);
}

PackedMatrix::PackedMatrix(const float* data, int64_t row, int64_t column, int64_t k, int64_t n)
    : k_(k), n_(n), values_(static_cast<size_t>(packed_size(k, n))) {
  pack(data, row, column, k, n, values_.data());
}

void PackedMatrix::pack(const float* data, int64_t row, int64_t column, int64_t k, int64_t n, float* packed) {
  for (int64_t begin = 0; begin < n; begin += panel_columns) {
    const int64_t count = std::min(panel_columns, n - begin);
    float* panel = packed + begin * k;
    int64_t l = 0;
    if (count == panel_columns && row == 1) {
      for (; l + 16 <= k; l += 16)
        vectorised<transpose_rows>(data + begin * column + l, column, panel + l * panel_columns);
    }
    for (; l < k; ++l) {
      const float* from = data + l * row + begin * column;
      float* to = panel + l * panel_columns;
      if (count == panel_columns && column == 1) {
        std::copy_n(from, panel_columns, to);
        continue;
      }
      for (int64_t j = 0; j < count; ++j) to[j] = from[j * column];
      std::fill(to + count, to + panel_columns, 0.0F);
    }
  }
}

}  // namespace tweedie
