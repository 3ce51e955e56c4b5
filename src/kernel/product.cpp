#include "kernel/product.h"

#include <algorithm>
#include <utility>

namespace tweedie {

namespace {

// rows x 16 vectors of c are held in registers while k runs.
template <int rows, int vectors>
TWEEDIE_INLINE void tile(StridedMatrix a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t k,
                         bool add) {
  Lanes16 sum[rows][vectors];
  for (auto& row : sum) {
    for (Lanes16& v : row) v = Lanes16{};
  }
  for (int64_t l = 0; l < k; ++l) {
    Lanes16 right[vectors];
    for (int v = 0; v < vectors; ++v) right[v] = load16(b + l * b_row + 16 * v);
    for (int i = 0; i < rows; ++i) {
      const Lanes16 left = broadcast(a.data[i * a.row + l * a.column]);
      for (int v = 0; v < vectors; ++v) sum[i][v] += left * right[v];
    }
  }
  for (int i = 0; i < rows; ++i) {
    for (int v = 0; v < vectors; ++v) {
      float* to = c + i * c_row + 16 * v;
      store16(to, add ? load16(to) + sum[i][v] : sum[i][v]);
    }
  }
}

// `rows` of them where that is a compiled number, at most `most`
template <int most, int vectors>
TWEEDIE_INLINE void tile_of(int64_t rows, StridedMatrix a, const float* b, int64_t b_row, float* c,
                            int64_t c_row, int64_t k, bool add) {
  if constexpr (most > 1) {
    if (rows < most) return tile_of<most - 1, vectors>(rows, a, b, b_row, c, c_row, k, add);
  }
  tile<most, vectors>(a, b, b_row, c, c_row, k, add);
}

// In as few tiles of at most `most` rows as can be, as equal as can be: the units that multiply wait for each
// other where a tile is low.
template <int most, int vectors>
TWEEDIE_INLINE void panel(StridedMatrix a, const float* b, int64_t b_row, float* c, int64_t c_row, int64_t m,
                          int64_t k, bool add) {
  const int64_t tiles = (m + most - 1) / most;
  for (int64_t i = 0, begin = 0; i < tiles; ++i) {
    const int64_t end = (i + 1) * m / tiles;
    tile_of<most, vectors>(end - begin, {a.data + begin * a.row, a.row, a.column}, b, b_row,
                           c + begin * c_row, c_row, k, add);
    begin = end;
  }
}

template <int most>
TWEEDIE_INLINE void panels(StridedMatrix a, PanelMatrix b, float* c, int64_t c_row, int64_t m, int64_t k,
                           int64_t n, bool add) {
  for (int64_t j = 0; j < n; j += panel_columns) {
    const float* from = b.data + j / panel_columns * b.panel;
    if (n - j >= panel_columns) {
      panel<most, 2>(a, from, b.row, c + j, c_row, m, k, add);
    } else {
      panel<most, 1>(a, from, b.row, c + j, c_row, m, k, add);
    }
  }
}

}  // namespace

// As many rows as there are registers for.
void multiply(StridedMatrix a, PanelMatrix b, float* c, int64_t c_row, int64_t m, int64_t k, int64_t n,
              bool add) {
#if defined(__x86_64__)
  if (instruction_set() == InstructionSet::avx512)
    return with_avx512<panels<14>>(a, b, c, c_row, m, k, n, add);
  if (instruction_set() == InstructionSet::avx2) return with_avx2<panels<3>>(a, b, c, c_row, m, k, n, add);
#endif
  panels<1>(a, b, c, c_row, m, k, n, add);
}

PackedMatrix::PackedMatrix(const float* data, int64_t row, int64_t column, int64_t k, int64_t n)
    : k_(k), n_(n), values_(static_cast<size_t>(packed_size(k, n))) {
  pack(data, row, column, k, n, values_.data());
}

void PackedMatrix::pack(const float* data, int64_t row, int64_t column, int64_t k, int64_t n, float* packed) {
  for (int64_t begin = 0; begin < n; begin += panel_columns) {
    const int64_t count = std::min(panel_columns, n - begin);
    float* panel = packed + begin * k;
    for (int64_t l = 0; l < k; ++l) {
      float* to = panel + l * panel_columns;
      for (int64_t j = 0; j < count; ++j) to[j] = data[l * row + (begin + j) * column];
      std::fill(to + count, to + panel_columns, 0.0F);
    }
  }
}

}  // namespace tweedie
