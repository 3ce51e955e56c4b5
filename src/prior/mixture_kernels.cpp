#include "prior/mixture_kernels.h"

#include "core/elementary.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tweedie {

namespace {

// exp(x), x <= 0, and 0 below what could matter in a sum with exp(0): subnormal numbers, which products of
// such weights may be, cost a hundred times as much.
template <class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE V weight_lanes(V x) {
  constexpr Value least = sizeof(Value) == 4 ? -60 : -600;
  return x < least ? V{} : exp_lanes(x);
}

// logit_k of `block` components from k on, one row of x (d) in each lane: together, so that a coordinate of x
// is read once for all, and their sums wait less for one another.
template <int block, class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void distances(const MixtureView<Value>& m, const V* x, int64_t k, V* logit) {
  const int64_t d = m.dimension;
  const Value* mean = m.mean + k * d;
  V square[block] = {};
  for (int64_t j = 0; j < d; ++j) {
    for (int u = 0; u < block; ++u) {
      const V difference = x[j] - mean[u * d + j];
      square[u] += difference * difference;
    }
  }
  for (int u = 0; u < block; ++u) logit[k + u] = m.offset[k + u] - square[u] * (m.precision[k + u] / 2);
}

// Coordinates j to j + block of D = of_x x + sum_k weight_k m_k
template <int block, class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void combine(const MixtureView<Value>& m, const V* x, V of_x, const V* weight, int64_t j,
                            V* out) {
  const int64_t d = m.dimension;
  V sum[block];
  for (int u = 0; u < block; ++u) sum[u] = of_x * x[j + u];
  for (int64_t k = 0; k < m.count; ++k) {
    for (int u = 0; u < block; ++u) sum[u] += weight[k] * m.mean[k * d + j + u];
  }
  for (int u = 0; u < block; ++u) out[j + u] = sum[u];
}

// One row in each lane. x, out: (d); r: (K), left with r_k; weight: room for K
template <class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void isotropic_lanes(const MixtureView<Value>& m, const V* x, V* r, V* weight, V* out) {
  const int64_t d = m.dimension, count = m.count;
  int64_t k = 0;
  for (; k + 5 <= count; k += 5) distances<5>(m, x, k, r);
  for (; k < count; ++k) distances<1>(m, x, k, r);
  V top = broadcast(-std::numeric_limits<Value>::infinity());
  for (k = 0; k < count; ++k) top = r[k] > top ? r[k] : top;
  V total = {}, of_x = {};
  for (k = 0; k < count; ++k) total += r[k] = weight_lanes<Value>(r[k] - top);
  const V scale = 1 / total;
  // D = sum_k r_k (1 - c_k) m_k + (sum_k r_k c_k) x
  for (k = 0; k < count; ++k) {
    r[k] *= scale;
    of_x += r[k] * m.shrink[k];
    weight[k] = r[k] * (1 - m.shrink[k]);
  }
  int64_t j = 0;
  for (; j + 8 <= d; j += 8) combine<8>(m, x, of_x, weight, j, out);
  for (; j < d; ++j) combine<1>(m, x, of_x, weight, j, out);
}

// Rows (lanes, d) to one row in each lane, out (d), and back
template <class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void to_lanes(const Value* const* row, int64_t d, V* out) {
  constexpr int lanes = Lanes<Value>::count;
  int64_t j = 0;
  for (; j + lanes <= d; j += lanes) {
    V v[lanes];
    for (int i = 0; i < lanes; ++i) __builtin_memcpy(&v[i], row[i] + j, sizeof(V));
    transpose<Value>(v);
    for (int i = 0; i < lanes; ++i) out[j + i] = v[i];
  }
  for (; j < d; ++j) {
    for (int i = 0; i < lanes; ++i) out[j][i] = row[i][j];
  }
}
template <class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void from_lanes(const V* in, int64_t d, int64_t rows, Value* out) {
  constexpr int lanes = Lanes<Value>::count;
  int64_t j = 0;
  for (; j + lanes <= d; j += lanes) {
    V v[lanes];
    for (int i = 0; i < lanes; ++i) v[i] = in[j + i];
    transpose<Value>(v);
    for (int64_t i = 0; i < rows; ++i) __builtin_memcpy(out + i * d + j, &v[i], sizeof(V));
  }
  for (; j < d; ++j) {
    for (int64_t i = 0; i < rows; ++i) out[i * d + j] = in[j][i];
  }
}

template <class Value>
TWEEDIE_INLINE void isotropic_rows(const MixtureView<Value>& m, const Value* x, int64_t rows, Value* mean,
                                   Value* responsibility) {
  using V = typename Lanes<Value>::Type;
  constexpr int lanes = Lanes<Value>::count;
  const int64_t d = m.dimension;
  std::vector<V> in(d), out(d), r(m.count), weight(m.count);
  for (int64_t begin = 0; begin < rows; begin += lanes) {
    const int64_t used = std::min<int64_t>(lanes, rows - begin);
    const Value* row[lanes];  // spare lanes repeat the last row
    for (int i = 0; i < lanes; ++i) row[i] = x + std::min(begin + i, rows - 1) * d;
    to_lanes<Value>(row, d, in.data());
    isotropic_lanes<Value>(m, in.data(), r.data(), weight.data(), out.data());
    from_lanes<Value>(out.data(), d, used, mean + begin * d);
    if (responsibility == nullptr) continue;
    from_lanes<Value>(r.data(), m.count, used, responsibility + begin * m.count);
  }
}

template <class Value>
TWEEDIE_INLINE void spanned_rows(const MixtureView<Value>& m, const Value* projected, int64_t rows, Value* p,
                                 Value* responsibility) {
  using V = typename Lanes<Value>::Type;
  constexpr int64_t lanes = Lanes<Value>::count;
  const int64_t d = m.dimension;
  for (int64_t row = 0; row < rows; ++row) {
    Value* r = responsibility + row * m.count;
    for (int64_t k = 0; k < m.count; ++k) {
      Value* at = p + (row * m.count + k) * d;
      const Value *origin = projected + k * d, *precision = m.precision + k * d;
      V sum = {};
      int64_t j = 0;
      for (; j + lanes <= d; j += lanes) {
        V v, o, w;
        __builtin_memcpy(&v, at + j, sizeof v);
        __builtin_memcpy(&o, origin + j, sizeof o);
        __builtin_memcpy(&w, precision + j, sizeof w);
        v -= o;
        sum += v * v * w;
        __builtin_memcpy(at + j, &v, sizeof v);
      }
      Value square = sum_lanes<Value>(sum);
      for (; j < d; ++j) {
        at[j] -= origin[j];
        square += at[j] * at[j] * precision[j];
      }
      r[k] = m.offset[k] - square / 2;
    }
    Value top = r[0];
    for (int64_t k = 1; k < m.count; ++k) top = std::max(top, r[k]);
    Value total = 0;
    for (int64_t k = 0; k < m.count; ++k) total += r[k] = weight_lanes<Value>(broadcast(r[k] - top))[0];
    for (int64_t k = 0; k < m.count; ++k) {
      r[k] /= total;
      Value* at = p + (row * m.count + k) * d;
      const Value *shrink = m.shrink + k * d, weight = r[k];
      for (int64_t j = 0; j < d; ++j) at[j] *= weight * shrink[j];
    }
  }
}

}  // namespace

template <class Value>
void isotropic_mean(const MixtureView<Value>& mixture, const Value* x, int64_t rows, Value* mean,
                    Value* responsibility) {
  vectorised<isotropic_rows<Value>>(mixture, x, rows, mean, responsibility);
}
template <class Value>
void spanned_terms(const MixtureView<Value>& mixture, const Value* projected, int64_t rows, Value* p,
                   Value* responsibility) {
  vectorised<spanned_rows<Value>>(mixture, projected, rows, p, responsibility);
}

template void isotropic_mean(const MixtureView<float>&, const float*, int64_t, float*, float*);
template void isotropic_mean(const MixtureView<double>&, const double*, int64_t, double*, double*);
template void spanned_terms(const MixtureView<float>&, const float*, int64_t, float*, float*);
template void spanned_terms(const MixtureView<double>&, const double*, int64_t, double*, double*);

}  // namespace tweedie
