#include "operator/entrywise_noise.h"

#include "core/shape.h"
#include "core/special.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// Both as contiguous float64 on the CPU, y with as many rows as z
struct Pair {
  Pair(const Tensor& given_y, const Tensor& given_z)
      : z(given_z.to(at::kCPU, at::kDouble).contiguous()),
        y(given_y.to(at::kCPU, at::kDouble).expand_as(z).contiguous()),
        rows(z.size(0)),
        entries(rows > 0 ? z.numel() / rows : 0) {}

  // f(y, z, row, entry, place in z)
  template <class F>
  void each(F f) const {
    const double *of_y = y.data_ptr<double>(), *of_z = z.data_ptr<double>();
    for (int64_t r = 0, k = 0; r < rows; ++r)
      for (int64_t i = 0; i < entries; ++i, ++k) f(of_y[k], of_z[k], r, i, k);
  }

  Tensor z, y;
  int64_t rows, entries;
};

}  // namespace

void require_scale(double value, const std::string& place) {
  if (!(value > 0 && std::isfinite(value)))
    throw Error(place, fmt::format("{}, but a finite number above 0 is needed", value));
}

Tensor EntrywiseNoise::log_prob(const Tensor& y, const Tensor& z) const {
  const Pair pair(y, z);
  Tensor sum = at::zeros({pair.rows}, pair.z.options());
  auto* out = sum.data_ptr<double>();
  pair.each([&](double a, double b, int64_t r, int64_t i, int64_t) { out[r] += log_prob_of(a, b, i); });
  return sum.to(z.device());
}

LogDensitySlope EntrywiseNoise::slope(const Tensor& y, const Tensor& z) const {
  const Pair pair(y, z);
  Tensor value = at::empty_like(pair.z), derivative = at::empty_like(value),
         information = at::empty_like(value);
  double *v = value.data_ptr<double>(), *d = derivative.data_ptr<double>(),
         *h = information.data_ptr<double>();
  pair.each([&](double a, double b, int64_t, int64_t i, int64_t k) {
    const Slope s = slope_of(a, b, i);
    v[k] = s.value;
    d[k] = s.derivative;
    h[k] = s.information;
  });
  return {value.to(z.device()), derivative.to(z.device()), information.to(z.device())};
}

Tensor EntrywiseNoise::simulate(const Tensor& z, Noise& noise) const {
  const Tensor u = noise.uniform(z.sizes(), at::kDouble), n = noise.normal(z.sizes(), at::kDouble);
  const Pair pair(z, z);
  Tensor y = at::empty_like(pair.z);
  auto* out = y.data_ptr<double>();
  const double *of_u = u.data_ptr<double>(), *of_n = n.data_ptr<double>();
  pair.each([&](double, double b, int64_t, int64_t i, int64_t k) { out[k] = draw(b, i, of_u[k], of_n[k]); });
  return y.to(z.device(), z.scalar_type());
}

Tensor EntrywiseNoise::residuals(const Tensor& y, const Tensor& z, Noise& noise) const {
  const Tensor u = noise.uniform(z.sizes(), at::kDouble);
  const Pair pair(y, z);
  Tensor residual = at::empty_like(pair.z);
  auto* out = residual.data_ptr<double>();
  const double* of_u = u.data_ptr<double>();
  constexpr double least = 1e-300;  // beyond 37 standard deviations there is no telling how far
  pair.each([&](double a, double b, int64_t, int64_t i, int64_t k) {
    const Split s = split(a, b, i);
    const double low = s.below + of_u[k] * s.at, high = s.above + (1 - of_u[k]) * s.at;
    out[k] = low < high ? normal_quantile(std::max(low, least)) : -normal_quantile(std::max(high, least));
  });
  return residual.to(z.device());
}

}  // namespace tweedie
