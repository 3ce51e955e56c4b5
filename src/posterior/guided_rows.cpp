#include "posterior/guided_rows.h"

#include "core/vectorised.h"

#include <ATen/ATen.h>

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
struct Rows {
  int64_t count, dimension, guided;
  const Value* basis;  // (guided, dimension)
};

template <class Value>
TWEEDIE_INLINE void weigh(const Rows<Value>& rows, const GuidedWeight* weights, double constant,
                          const Value* xs, const Value* denoised, double keep, Value* means,
                          double* log_weight) {
  using V = typename Lanes<Value>::Type;
  constexpr int64_t lanes = Lanes<Value>::count;
  const int64_t d = rows.dimension;
  const auto of_x = static_cast<Value>(keep), of_mean = static_cast<Value>(1 - keep);
  for (int64_t row = 0; row < rows.count; ++row) {
    const Value *x = xs + row * d, *mean_0 = denoised + row * d;
    Value* m = means + row * d;
    int64_t j = 0;
    for (; j + lanes <= d; j += lanes) store(m + j, of_mean * load<V>(mean_0 + j) + of_x * load<V>(x + j));
    for (; j < d; ++j) m[j] = of_mean * mean_0[j] + of_x * x[j];
    double sum = constant;
    for (int64_t i = 0; i < rows.guided; ++i) {
      const GuidedWeight& w = weights[i];
      const Value* basis = rows.basis + i * d;
      const double now = dot(x, basis, d) - w.target, next = dot(m, basis, d) - w.target;
      sum += 0.5 * (now * now / w.before - next * next / w.after);
    }
    log_weight[row] = sum;
  }
}

// zs: normals, which become the draws
template <class Value>
TWEEDIE_INLINE void move(const Rows<Value>& rows, const GuidedMove* moves, const Value* means,
                         const int64_t* parent, double std, Value* zs) {
  using V = typename Lanes<Value>::Type;
  constexpr int64_t lanes = Lanes<Value>::count;
  const int64_t d = rows.dimension;
  const auto scale = static_cast<Value>(std);
  for (int64_t row = 0; row < rows.count; ++row) {
    const Value* m = means + parent[row] * d;
    Value* z = zs + row * d;
    Value shift[few_guided];
    for (int64_t i = 0; i < rows.guided; ++i) {
      const Value* basis = rows.basis + i * d;
      shift[i] = static_cast<Value>(moves[i].gain * (moves[i].target - dot(m, basis, d)) +
                                    moves[i].change * dot(z, basis, d));
    }
    int64_t j = 0;
    for (; j + lanes <= d; j += lanes) {
      V sum = load<V>(m + j) + scale * load<V>(z + j);
      for (int64_t i = 0; i < rows.guided; ++i) sum += shift[i] * load<V>(rows.basis + i * d + j);
      store(z + j, sum);
    }
    for (; j < d; ++j) {
      Value sum = m[j] + scale * z[j];
      for (int64_t i = 0; i < rows.guided; ++i) sum += shift[i] * rows.basis[i * d + j];
      z[j] = sum;
    }
  }
}

template <class Value>
Rows<Value> rows_of(const Tensor& x, const Tensor& basis) {
  return {x.size(0), x.size(1), basis.size(0), basis.data_ptr<Value>()};
}

template <class Visit>
void with_values(const Tensor& x, const Visit& visit) {
  x.scalar_type() == at::kDouble ? visit(0.0) : visit(0.0F);
}

// One field of all coordinates, (k)
template <class Guided>
Tensor field(const std::vector<Guided>& all, double Guided::*member) {
  const Tensor result = at::empty({static_cast<int64_t>(all.size())}, at::kDouble);
  for (size_t i = 0; i < all.size(); ++i) result.data_ptr<double>()[i] = all[i].*member;
  return result;
}

Tensor coordinates(const Tensor& x, const Tensor& basis) {
  return at::matmul(x, basis.t()).to(at::kDouble);
}

// log of a weight at its target: the factors 2 pi are in both densities
double log_peak(const std::vector<GuidedWeight>& weights) {
  double sum = 0;
  for (const GuidedWeight& w : weights) sum += 0.5 * std::log(w.before / w.after);
  return sum;
}

}  // namespace

GuidedMove GuidedMove::towards(double target, double variance, double std) {
  const double total = std * std + variance, gain = total > 0 ? std * std / total : 1;
  return {target, gain, std::sqrt(gain * variance) - std};
}

Tensor weigh_few(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                 const Tensor& denoised, double keep, const Tensor& mean) {
  const Tensor log_weight = at::empty({x.size(0)}, at::kDouble), from = denoised.contiguous();
  with_values(x, [&](auto zero) {
    using Value = decltype(zero);
    vectorised<weigh<Value>>(rows_of<Value>(x, basis), weights.data(), log_peak(weights), x.data_ptr<Value>(),
                             from.data_ptr<Value>(), keep, mean.data_ptr<Value>(),
                             log_weight.data_ptr<double>());
  });
  return log_weight;
}

Tensor weigh_many(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                  const Tensor& denoised, double keep, const Tensor& mean) {
  mean.copy_(denoised).mul_(1 - keep).add_(x, keep);
  const Tensor target = field(weights, &GuidedWeight::target);
  const Tensor now = coordinates(x, basis) - target, next = coordinates(mean, basis) - target;
  return 0.5 * (now.square() / field(weights, &GuidedWeight::before) -
                next.square() / field(weights, &GuidedWeight::after))
                   .sum(1) +
         log_peak(weights);
}

Tensor weigh_rows(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                  const Tensor& denoised, double keep, const Tensor& mean) {
  return (weights.size() <= few_guided ? weigh_few : weigh_many)(basis, weights, x, denoised, keep, mean);
}

Tensor move_few(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                const Tensor& parent, double std, Noise& noise) {
  const Shape shape{parent.size(0), mean.size(1)};
  const Tensor x = std > 0 ? noise.normal(shape, mean.scalar_type()) : at::zeros(shape, mean.options());
  with_values(x, [&](auto zero) {
    using Value = decltype(zero);
    vectorised<move<Value>>(rows_of<Value>(x, basis), moves.data(), mean.data_ptr<Value>(),
                            parent.data_ptr<int64_t>(), std, x.data_ptr<Value>());
  });
  return x;
}

Tensor move_many(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                 const Tensor& parent, double std, Noise& noise) {
  Tensor x = mean.index_select(0, parent);
  Tensor shift =
      field(moves, &GuidedMove::gain) * (field(moves, &GuidedMove::target) - coordinates(x, basis));
  if (std > 0) {
    const Tensor z = noise.normal(x.sizes(), x.scalar_type());
    shift += field(moves, &GuidedMove::change) * coordinates(z, basis);
    x.add_(z, std);
  }
  return x.addmm_(shift.to(x.scalar_type()), basis);
}

Tensor move_rows(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                 const Tensor& parent, double std, Noise& noise) {
  return (moves.size() <= few_guided ? move_few : move_many)(basis, moves, mean, parent, std, noise);
}

}  // namespace tweedie
