// Resampling schemes: Douc, Cappe and Moulines 2005; all O(N) by one walk over the cumulated weights.

#include "core/shape.h"
#include "tweedie/particles.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// Normalised weights (N), float64
Tensor weights_of(const Tensor& log_weight) {
  require_real(log_weight, "log_weight");
  if (log_weight.dim() != 1 || log_weight.size(0) == 0) {
    throw Error("log_weight",
                fmt::format("shape {}, but (N) with N >= 1 is needed", to_string(log_weight.sizes())));
  }
  const Tensor log_w = log_weight.to(at::kCPU, at::kDouble);
  const double top = log_w.max().item<double>();  // NaN wins
  if (!std::isfinite(top)) {
    throw Error("log_weight", fmt::format("the largest is {}, but a finite number is needed", top));
  }
  return at::softmax(log_w, 0);
}

// u: ascending in (0, 1): the index whose stretch of the cumulated weights holds each
void locate(const double* weight, int64_t count, const double* u, int64_t draws, int64_t* index) {
  int64_t i = 0;
  double sum = weight[0];
  for (int64_t k = 0; k < draws; ++k) {
    while (u[k] > sum && i + 1 < count) sum += weight[++i];
    index[k] = i;
  }
}

// Ordered independent uniforms without sorting: sums of exponentials over their total
std::vector<double> ordered_uniforms(int64_t n, Noise& noise) {
  std::vector<double> u(n);
  const Tensor e = -noise.uniform({1, n + 1}, at::kDouble).log();
  const double* step = e.data_ptr<double>();
  double sum = 0;
  for (int64_t k = 0; k < n; ++k) u[k] = sum += step[k];
  for (double& value : u) value /= sum + step[n];
  return u;
}

}  // namespace

Tensor resample(const Tensor& log_weight, Resampling scheme, Noise& noise) {
  const Tensor weight = weights_of(log_weight);
  const int64_t n = weight.size(0);
  const double* w = weight.data_ptr<double>();
  const double share = 1 / static_cast<double>(n);
  Tensor result = at::empty({n}, at::kLong);
  auto* index = result.data_ptr<int64_t>();
  switch (scheme) {
    case Resampling::multinomial: {
      const auto u = ordered_uniforms(n, noise);
      locate(w, n, u.data(), n, index);
      break;
    }
    case Resampling::systematic: {
      const double offset = noise.uniform({1}, at::kDouble).item<double>();
      std::vector<double> u(n);
      for (int64_t k = 0; k < n; ++k) u[k] = (static_cast<double>(k) + offset) * share;
      locate(w, n, u.data(), n, index);
      break;
    }
    case Resampling::stratified: {
      const Tensor offsets = noise.uniform({1, n}, at::kDouble);
      std::vector<double> u(n);
      for (int64_t k = 0; k < n; ++k) u[k] = (static_cast<double>(k) + offsets.data_ptr<double>()[k]) * share;
      locate(w, n, u.data(), n, index);
      break;
    }
    case Resampling::residual: {
      std::vector<double> rest(n);
      std::vector<int64_t> offspring(n);
      int64_t left = n;
      double total = 0;
      for (int64_t i = 0; i < n; ++i) {
        // What rounding took from an integer is given back.
        offspring[i] = static_cast<int64_t>(std::floor(static_cast<double>(n) * w[i] + 1e-12));
        rest[i] = std::max(0.0, static_cast<double>(n) * w[i] - static_cast<double>(offspring[i]));
        total += rest[i];
        left -= offspring[i];
      }
      std::vector<int64_t> extra(std::max<int64_t>(left, 0));
      if (left > 0) {
        for (double& value : rest) value /= total;
        locate(rest.data(), n, ordered_uniforms(left, noise).data(), left, extra.data());
        for (const int64_t i : extra) ++offspring[i];
      }
      int64_t k = 0;
      for (int64_t i = 0; i < n; ++i) {
        for (int64_t copy = 0; copy < offspring[i] && k < n; ++copy) index[k++] = i;
      }
      break;
    }
  }
  return result;
}

double effective_sample_size(const Tensor& log_weight) {
  return 1 / weights_of(log_weight).square().sum().item<double>();
}

}  // namespace tweedie
