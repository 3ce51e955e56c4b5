#include "train/adam.h"

#include "core/elementary.h"
#include "kernel/lanes.h"

namespace tweedie {

namespace {

using Lanes8 = Lanes<double>::Type;

// The sixteen squares in double, two by two
TWEEDIE_INLINE Lanes8 squares(Lanes16 x) {
  using Half = float __attribute__((vector_size(32)));
  const Lanes8 low =
      __builtin_convertvector((Half)__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7), Lanes8);
  const Lanes8 high =
      __builtin_convertvector((Half)__builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15), Lanes8);
  return low * low + high * high;
}

TWEEDIE_INLINE void sum(const float* const* parts, int64_t part_count, int64_t count, float scale,
                        float* total, double* norm2) {
  Lanes8 norm{};
  for (int64_t i = 0; i < count; i += 16) {
    Lanes16 value = load16(parts[0] + i);
    for (int64_t j = 1; j < part_count; ++j) value += load16(parts[j] + i);
    value *= scale;
    store16(total + i, value);
    norm += squares(value);
  }
  *norm2 = sum_lanes<double>(norm);
}

TWEEDIE_INLINE void adam(const AdamStep* step, const float* gradient, int64_t count, const AdamArrays* a) {
  constexpr auto b1 = static_cast<float>(adam_beta1), b2 = static_cast<float>(adam_beta2);
  constexpr auto c1 = static_cast<float>(1 - adam_beta1), c2 = static_cast<float>(1 - adam_beta2);
  const float per_second = 1 / step->second;
  for (int64_t i = 0; i < count; i += 16) {
    const Lanes16 g = load16(gradient + i) * step->clip;
    const Lanes16 m = load16(a->moment1 + i) * b1 + g * c1;
    const Lanes16 v = load16(a->moment2 + i) * b2 + g * g * c2;
    const Lanes16 w =
        load16(a->weight + i) * step->keep - step->rate * m / (sqrt_lanes(v) * per_second + 1e-8F);
    const Lanes16 mean = load16(a->average + i);
    store16(a->moment1 + i, m);
    store16(a->moment2 + i, v);
    store16(a->weight + i, w);
    store16(a->average + i, mean + step->mix * (w - mean));
  }
}

// What is left behind the last sixteen goes through a copy with zeros.
struct Rest {
  float values[16] = {};
  Rest(const float* from, int64_t count) {
    for (int64_t i = 0; i < count; ++i) values[i] = from[i];
  }
  void put(float* to, int64_t count) const {
    for (int64_t i = 0; i < count; ++i) to[i] = values[i];
  }
};

}  // namespace

double sum_gradients(const std::vector<const float*>& parts, int64_t count, float scale, float* total) {
  const int64_t whole = count / 16 * 16, rest = count - whole;
  const auto part_count = static_cast<int64_t>(parts.size());
  double norm2 = 0;
  vectorised<sum>(parts.data(), part_count, whole, scale, total, &norm2);
  if (rest == 0) return norm2;
  std::vector<Rest> copies;
  for (const float* part : parts) copies.emplace_back(part + whole, rest);
  std::vector<const float*> last;
  for (const Rest& copy : copies) last.push_back(copy.values);
  Rest result(nullptr, 0);
  double more = 0;
  vectorised<sum>(last.data(), part_count, int64_t{16}, scale, result.values, &more);
  result.put(total + whole, rest);
  return norm2 + more;
}

void adam_step(const AdamStep& step, const float* gradient, int64_t count, const AdamArrays& arrays) {
  const int64_t whole = count / 16 * 16, rest = count - whole;
  vectorised<adam>(&step, gradient, whole, &arrays);
  if (rest == 0) return;
  const auto [weight, moment1, moment2, average] = arrays;
  const Rest g(gradient + whole, rest);
  Rest w(weight + whole, rest), m(moment1 + whole, rest), v(moment2 + whole, rest),
      mean(average + whole, rest);
  const AdamArrays last{w.values, m.values, v.values, mean.values};
  vectorised<adam>(&step, g.values, int64_t{16}, &last);
  w.put(weight + whole, rest);
  m.put(moment1 + whole, rest);
  v.put(moment2 + whole, rest);
  mean.put(average + whole, rest);
}

}  // namespace tweedie
