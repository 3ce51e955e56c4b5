#include "posterior/mcgdiff_kernels.h"

#include "core/vectorised.h"

#include <cmath>

namespace tweedie {

namespace {

template <class V, class Value>
TWEEDIE_INLINE V load(const Value* from) {
  V value;
  __builtin_memcpy(&value, from, sizeof value);
  return value;
}
template <class V, class Value>
TWEEDIE_INLINE void store(Value* to, V value) {
  __builtin_memcpy(to, &value, sizeof value);
}

template <class Value>
TWEEDIE_INLINE Value dot(const Value* a, const Value* b, int64_t d) {
  constexpr int64_t lanes = Lanes<Value>::count;
  typename Lanes<Value>::Type sum = {};
  Value rest = 0;
  int64_t j = 0;
  for (; j + lanes <= d; j += lanes) {
    sum += load<typename Lanes<Value>::Type>(a + j) * load<typename Lanes<Value>::Type>(b + j);
  }
  for (; j < d; ++j) rest += a[j] * b[j];
  return sum_lanes<Value>(sum) + rest;
}

template <class Value>
TWEEDIE_INLINE void weigh(const GuidedRows<Value>& at, const Value* x, double keep,
                          const GuidedWeight* weight, double constant, Value* denoised, double* log_factor) {
  const int64_t d = at.dimension;
  const auto of_x = static_cast<Value>(keep), of_mean = static_cast<Value>(1 - keep);
  for (int64_t row = 0; row < at.rows; ++row) {
    const Value* from = x + row * d;
    Value* m = denoised + row * d;
    int64_t j = 0;
    using V = typename Lanes<Value>::Type;
    for (; j + Lanes<Value>::count <= d; j += Lanes<Value>::count)
      store(m + j, of_mean * load<V>(m + j) + of_x * load<V>(from + j));
    for (; j < d; ++j) m[j] = of_mean * m[j] + of_x * from[j];
    double sum = constant;
    for (int64_t i = 0; i < at.active; ++i) {
      const GuidedWeight& w = weight[i];
      const double now = dot(from, at.basis + i * d, d) - w.target,
                   next = dot(m, at.basis + i * d, d) - w.target;
      sum += 0.5 * (now * now / w.before - next * next / w.after);
    }
    log_factor[row] = sum;
  }
}

template <class Value>
TWEEDIE_INLINE void move(const GuidedRows<Value>& at, const Value* means, double std, const GuidedMove* moves,
                         Value* z) {
  using V = typename Lanes<Value>::Type;
  const int64_t d = at.dimension;
  const auto scale = static_cast<Value>(std);
  for (int64_t row = 0; row < at.rows; ++row) {
    const Value* m = means + row * d;
    Value* x = z + row * d;
    Value shift[few_guided];
    for (int64_t i = 0; i < at.active; ++i) {
      const Value* basis = at.basis + i * d;
      shift[i] = static_cast<Value>(moves[i].gain * (moves[i].target - dot(m, basis, d)) +
                                    moves[i].change * dot(x, basis, d));
    }
    int64_t j = 0;
    for (; j + Lanes<Value>::count <= d; j += Lanes<Value>::count) {
      V sum = load<V>(m + j) + scale * load<V>(x + j);
      for (int64_t i = 0; i < at.active; ++i) sum += shift[i] * load<V>(at.basis + i * d + j);
      store(x + j, sum);
    }
    for (; j < d; ++j) {
      Value sum = m[j] + scale * x[j];
      for (int64_t i = 0; i < at.active; ++i) sum += shift[i] * at.basis[i * d + j];
      x[j] = sum;
    }
  }
}

}  // namespace

template <class Value>
void weigh_rows(const GuidedRows<Value>& at, const Value* x, double keep, const GuidedWeight* weight,
                Value* denoised, double* log_factor) {
  double constant = 0;  // of the densities: the factors 2 pi are in both
  for (int64_t i = 0; i < at.active; ++i) constant += 0.5 * std::log(weight[i].before / weight[i].after);
  vectorised<weigh<Value>>(at, x, keep, weight, constant, denoised, log_factor);
}
template <class Value>
void move_rows(const GuidedRows<Value>& at, const Value* m, double std, const GuidedMove* moves, Value* z) {
  vectorised<move<Value>>(at, m, std, moves, z);
}

template void weigh_rows(const GuidedRows<float>&, const float*, double, const GuidedWeight*, float*,
                         double*);
template void weigh_rows(const GuidedRows<double>&, const double*, double, const GuidedWeight*, double*,
                         double*);
template void move_rows(const GuidedRows<float>&, const float*, double, const GuidedMove*, float*);
template void move_rows(const GuidedRows<double>&, const double*, double, const GuidedMove*, double*);

}  // namespace tweedie
