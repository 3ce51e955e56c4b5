#include "kernel/total_variation.h"

#include "core/vectorised.h"

#include <cmath>

namespace tweedie {

namespace {

// x[i] = z[i] - weight (D^T r)[i] of one row, (D^T r)[i, j] = r_v[i - 1, j] - r_v[i, j] + r_h[i, j - 1] -
// r_h[i, j]; above: r_v[i - 1], null at the top. One more number behind it, as the last, makes the last
// difference 0.
template <class Value>
TWEEDIE_INLINE void primal_row(const Value* __restrict z, const Value* __restrict above,
                               const Value* __restrict v, const Value* __restrict h, Value weight,
                               int64_t width, Value* __restrict x) {
  x[0] = z[0] + weight * (v[0] + h[0]);
  for (int64_t j = 1; j < width; ++j) x[j] = z[j] + weight * (v[j] + h[j] - h[j - 1]);
  if (above == nullptr) return;
  for (int64_t j = 0; j < width; ++j) x[j] -= weight * above[j];
}

// q = r + step D x in place of q, and its squares added to `square`; next: the row of x below, null at the
// bottom
template <class Value>
TWEEDIE_INLINE void climb_row(const Value* __restrict v, const Value* __restrict h, const Value* __restrict x,
                              const Value* __restrict next, Value step, int64_t width, Value* __restrict qv,
                              Value* __restrict qh, Value* __restrict square) {
  if (next != nullptr) {
    for (int64_t j = 0; j < width; ++j) qv[j] = v[j] + step * (next[j] - x[j]);
  } else {
    for (int64_t j = 0; j < width; ++j) qv[j] = v[j];
  }
  for (int64_t j = 0; j + 1 < width; ++j) qh[j] = h[j] + step * (x[j + 1] - x[j]);
  qh[width - 1] = h[width - 1];
  for (int64_t j = 0; j < width; ++j) square[j] += qv[j] * qv[j] + qh[j] * qh[j];
}

template <class Value>
TWEEDIE_INLINE void shrink_factors(int64_t width, Value* __restrict square) {
  for (int64_t j = 0; j < width; ++j) {
    const Value s = square[j] > 1 ? square[j] : Value{1};
    square[j] = 1 / std::sqrt(s);
  }
}

template <class Value>
TWEEDIE_INLINE void move_row(const Value* __restrict q, const Value* __restrict factor, Value momentum,
                             int64_t width, Value* __restrict r, Value* __restrict p) {
  for (int64_t j = 0; j < width; ++j) {
    const Value projected = q[j] * factor[j];
    r[j] = projected + momentum * (projected - p[j]);
    p[j] = projected;
  }
}

template <class Value>
TWEEDIE_INLINE void step_band(const Planes* size, const TvStep<Value>* step, const TvBand<Value>* band) {
  const int64_t width = size->width, channels = size->channels, plane = size->plane();
  const Value *rv = step->r, *rh = step->r + size->numbers();
  Value *row = band->work, *next = row + size->row(), *qv = next + size->row(), *qh = qv + size->row(),
        *square = qh + size->row();
  const auto primal = [&](int64_t i, Value * to) __attribute__((always_inline)) {
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = c * plane + i * width;
      const bool outside = i == band->end;
      const Value* v = outside ? band->below + c * width : rv + at;
      const Value* h = outside ? band->below + (channels + c) * width : rh + at;
      const Value* above = i == 0 ? nullptr : i == band->begin ? band->above + c * width : rv + at - width;
      primal_row(step->z + at, above, v, h, step->weight, width, to + c * width);
    }
  };
  primal(band->begin, row);
  for (int64_t i = band->begin; i < band->end; ++i) {
    const bool last = i + 1 == size->height;
    if (!last) primal(i + 1, next);
    for (int64_t j = 0; j < width; ++j) square[j] = 0;
    for (int64_t c = 0; c < channels; ++c) {
      const int64_t at = c * plane + i * width, w = c * width;
      climb_row(rv + at, rh + at, row + w, last ? nullptr : next + w, step->step, width, qv + w, qh + w,
                square);
      if (step->joint && c + 1 < channels) continue;
      shrink_factors(width, square);
      for (int64_t k = step->joint ? 0 : c; k <= c; ++k) {
        const int64_t to = k * plane + i * width;
        move_row(qv + k * width, square, step->momentum, width, step->r + to, step->p + to);
        move_row(qh + k * width, square, step->momentum, width, step->r + size->numbers() + to,
                 step->p + size->numbers() + to);
      }
      for (int64_t j = 0; j < width; ++j) square[j] = 0;
    }
    Value* swap = row;
    row = next;
    next = swap;
  }
}

template <class Value>
TWEEDIE_INLINE void primal_rows(const Planes* size, const Value* z, const Value* p, Value weight,
                                int64_t begin, int64_t end, Value* x) {
  const Value *v = p, *h = p + size->numbers();
  for (int64_t c = 0; c < size->channels; ++c) {
    for (int64_t i = begin; i < end; ++i) {
      const int64_t at = c * size->plane() + i * size->width;
      primal_row(z + at, i == 0 ? nullptr : v + at - size->width, v + at, h + at, weight, size->width,
                 x + at);
    }
  }
}

template <class Value>
TWEEDIE_INLINE void squares_row(const Value* __restrict x, const Value* __restrict next, int64_t width,
                                Value* __restrict square) {
  if (next != nullptr) {
    for (int64_t j = 0; j < width; ++j) square[j] += (next[j] - x[j]) * (next[j] - x[j]);
  }
  for (int64_t j = 0; j + 1 < width; ++j) square[j] += (x[j + 1] - x[j]) * (x[j + 1] - x[j]);
}
template <class Value>
TWEEDIE_INLINE double root_sum(int64_t width, Value* __restrict square) {
  for (int64_t j = 0; j < width; ++j) square[j] = std::sqrt(square[j]);
  double sum[4] = {};
  for (int64_t j = 0; j < width; ++j) sum[j % 4] += static_cast<double>(square[j]);
  for (int64_t j = 0; j < width; ++j) square[j] = 0;
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class Value>
TWEEDIE_INLINE void sum_rows(const Planes* size, const Value* x, const Value* p, bool joint, int64_t begin,
                             int64_t end, Value* work, double* variation, double* inner) {
  const int64_t width = size->width, plane = size->plane();
  for (int64_t j = 0; j < width; ++j) work[j] = 0;
  for (int64_t i = begin; i < end; ++i) {
    const bool last = i + 1 == size->height;
    double total = 0, product[2] = {};
    for (int64_t c = 0; c < size->channels; ++c) {
      const Value *row = x + c * plane + i * width, *next = last ? nullptr : row + width;
      squares_row(row, next, width, work);
      if (!joint || c + 1 == size->channels) total += root_sum(width, work);
      if (p == nullptr) continue;
      const Value *v = p + c * plane + i * width, *h = v + size->numbers();
      for (int64_t j = 0; j + 1 < width; ++j)
        product[0] += static_cast<double>(h[j]) * static_cast<double>(row[j + 1] - row[j]);
      for (int64_t j = 0; !last && j < width; ++j)
        product[1] += static_cast<double>(v[j]) * static_cast<double>(next[j] - row[j]);
    }
    variation[i] = total;
    if (inner != nullptr) inner[i] = product[0] + product[1];
  }
}

}  // namespace

template <class Value>
void tv_read_neighbours(const Planes& size, const Value* r, const TvBand<Value>& band) {
  for (int64_t c = 0; c < size.channels; ++c) {
    for (int64_t j = 0; j < size.width; ++j) {
      const int64_t at = c * size.plane() + j, to = c * size.width + j;
      if (band.begin > 0) band.above[to] = r[at + (band.begin - 1) * size.width];
      if (band.end == size.height) continue;
      band.below[to] = r[at + band.end * size.width];
      band.below[size.row() + to] = r[size.numbers() + at + band.end * size.width];
    }
  }
}

template <class Value>
void tv_step(const Planes& size, const TvStep<Value>& step, const TvBand<Value>& band) {
  vectorised<step_band<Value>>(&size, &step, &band);
}

template <class Value>
void tv_primal(const Planes& size, const Value* z, const Value* p, Value weight, int64_t begin, int64_t end,
               Value* x) {
  vectorised<primal_rows<Value>>(&size, z, p, weight, begin, end, x);
}

template <class Value>
void tv_sums(const Planes& size, const Value* x, const Value* p, bool joint, int64_t begin, int64_t end,
             Value* work, double* variation, double* inner) {
  vectorised<sum_rows<Value>>(&size, x, p, joint, begin, end, work, variation, inner);
}

#define TWEEDIE_TV_OF(V)                                                               \
  template void tv_read_neighbours(const Planes&, const V*, const TvBand<V>&);         \
  template void tv_step(const Planes&, const TvStep<V>&, const TvBand<V>&);            \
  template void tv_primal(const Planes&, const V*, const V*, V, int64_t, int64_t, V*); \
  template void tv_sums(const Planes&, const V*, const V*, bool, int64_t, int64_t, V*, double*, double*);
TWEEDIE_TV_OF(float)
TWEEDIE_TV_OF(double)
#undef TWEEDIE_TV_OF

}  // namespace tweedie
