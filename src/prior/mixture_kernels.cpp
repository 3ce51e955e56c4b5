#include "prior/mixture_kernels.h"

#include "core/vectorised.h"

#include <algorithm>
#include <limits>
#include <vector>

namespace tweedie {

namespace {

// One row in each lane. x, out: (d) of vectors; logit: room for K of them, left with r_k.
template <class Value, class V = typename Lanes<Value>::Type>
TWEEDIE_INLINE void isotropic_lanes(const MixtureView<Value>& m, const V* x, V* logit, V* out) {
  const int64_t d = m.dimension, count = m.count;
  V top = broadcast(-std::numeric_limits<Value>::infinity());
  int64_t k = 0;
  for (; k + 4 <= count; k += 4) {  // four at a time, so that a coordinate of x is read once for them
    V square[4] = {};
    const Value* mean = m.mean + k * d;
    for (int64_t j = 0; j < d; ++j) {
      for (int u = 0; u < 4; ++u) {
        const V difference = x[j] - mean[u * d + j];
        square[u] += difference * difference;
      }
    }
    for (int u = 0; u < 4; ++u) logit[k + u] = m.offset[k + u] - square[u] * (m.precision[k + u] / 2);
  }
  for (; k < count; ++k) {
    V square = {};
    for (int64_t j = 0; j < d; ++j) {
      const V difference = x[j] - m.mean[k * d + j];
      square += difference * difference;
    }
    logit[k] = m.offset[k] - square * (m.precision[k] / 2);
  }
  for (k = 0; k < count; ++k) top = logit[k] > top ? logit[k] : top;
  V total = {};
  for (k = 0; k < count; ++k) total += logit[k] = exp_lanes(logit[k] - top);
  // D = sum_k r_k (1 - c_k) m_k + (sum_k r_k c_k) x
  V of_x = {};
  for (k = 0; k < count; ++k) {
    logit[k] /= total;
    of_x += logit[k] * m.shrink[k];
  }
  int64_t j = 0;
  for (; j + 4 <= d; j += 4) {
    V sum[4];
    for (int u = 0; u < 4; ++u) sum[u] = of_x * x[j + u];
    for (k = 0; k < count; ++k) {
      const V weight = logit[k] * (1 - m.shrink[k]);
      for (int u = 0; u < 4; ++u) sum[u] += weight * m.mean[k * d + j + u];
    }
    for (int u = 0; u < 4; ++u) out[j + u] = sum[u];
  }
  for (; j < d; ++j) {
    V sum = of_x * x[j];
    for (k = 0; k < count; ++k) sum += logit[k] * (1 - m.shrink[k]) * m.mean[k * d + j];
    out[j] = sum;
  }
}

template <class Value>
TWEEDIE_INLINE void isotropic_rows(const MixtureView<Value>& m, const Value* x, int64_t rows, Value* mean,
                                   Value* responsibility) {
  using V = typename Lanes<Value>::Type;
  constexpr int lanes = Lanes<Value>::count;
  const int64_t d = m.dimension;
  std::vector<V> in(d), out(d), r(m.count);
  for (int64_t begin = 0; begin < rows; begin += lanes) {
    const int64_t used = std::min<int64_t>(lanes, rows - begin);
    for (int lane = 0; lane < lanes; ++lane) {  // spare lanes repeat the last row
      const Value* row = x + std::min(begin + lane, rows - 1) * d;
      for (int64_t j = 0; j < d; ++j) in[j][lane] = row[j];
    }
    isotropic_lanes<Value>(m, in.data(), r.data(), out.data());
    for (int lane = 0; lane < used; ++lane) {
      for (int64_t j = 0; j < d; ++j) mean[(begin + lane) * d + j] = out[j][lane];
      if (responsibility == nullptr) continue;
      for (int64_t k = 0; k < m.count; ++k) responsibility[(begin + lane) * m.count + k] = r[k][lane];
    }
  }
}

template <class V>
TWEEDIE_INLINE auto sum_lanes(V v) {
  auto sum = v[0];
  for (size_t i = 1; i < sizeof(V) / sizeof(sum); ++i) sum += v[i];
  return sum;
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
      Value square = sum_lanes(sum);
      for (; j < d; ++j) {
        at[j] -= origin[j];
        square += at[j] * at[j] * precision[j];
      }
      r[k] = m.offset[k] - square / 2;
    }
    Value top = r[0];
    for (int64_t k = 1; k < m.count; ++k) top = std::max(top, r[k]);
    Value total = 0;
    for (int64_t k = 0; k < m.count; ++k) total += r[k] = exp_lanes(broadcast(r[k] - top))[0];
    for (int64_t k = 0; k < m.count; ++k) {
      r[k] /= total;
      Value* at = p + (row * m.count + k) * d;
      const Value *shrink = m.shrink + k * d, weight = r[k];
      for (int64_t j = 0; j < d; ++j) at[j] *= weight * shrink[j];
    }
  }
}

TWEEDIE_CLONES void run_isotropic(const MixtureView<float>& m, const float* x, int64_t rows, float* mean,
                                  float* responsibility) {
  isotropic_rows(m, x, rows, mean, responsibility);
}
TWEEDIE_CLONES void run_isotropic(const MixtureView<double>& m, const double* x, int64_t rows, double* mean,
                                  double* responsibility) {
  isotropic_rows(m, x, rows, mean, responsibility);
}
TWEEDIE_CLONES void run_spanned(const MixtureView<float>& m, const float* projected, int64_t rows, float* p,
                                float* responsibility) {
  spanned_rows(m, projected, rows, p, responsibility);
}
TWEEDIE_CLONES void run_spanned(const MixtureView<double>& m, const double* projected, int64_t rows,
                                double* p, double* responsibility) {
  spanned_rows(m, projected, rows, p, responsibility);
}

}  // namespace

template <class Value>
void isotropic_mean(const MixtureView<Value>& mixture, const Value* x, int64_t rows, Value* mean,
                    Value* responsibility) {
  run_isotropic(mixture, x, rows, mean, responsibility);
}
template <class Value>
void spanned_terms(const MixtureView<Value>& mixture, const Value* projected, int64_t rows, Value* p,
                   Value* responsibility) {
  run_spanned(mixture, projected, rows, p, responsibility);
}

template void isotropic_mean(const MixtureView<float>&, const float*, int64_t, float*, float*);
template void isotropic_mean(const MixtureView<double>&, const double*, int64_t, double*, double*);
template void spanned_terms(const MixtureView<float>&, const float*, int64_t, float*, float*);
template void spanned_terms(const MixtureView<double>&, const double*, int64_t, double*, double*);

}  // namespace tweedie
