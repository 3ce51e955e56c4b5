#include "posterior/total_variation.h"

#include "core/rows.h"
#include "core/workers.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t large = 1 << 17;  // numbers from which a second thread is worth waking
constexpr int64_t least_rows = 16;  // of a band
constexpr int64_t look_every = 10;  // steps between two looks at the gap

Planes planes_of(const Shape& domain) {
  const auto axes = domain.size();
  if (axes == 1) return {1, 1, domain[0]};
  const int64_t height = domain[axes - 2], width = domain[axes - 1];
  int64_t channels = 1;
  for (size_t i = 0; i + 2 < axes; ++i) channels *= domain[i];
  return {channels, height, width};
}

}  // namespace

TotalVariation::TotalVariation(const Shape& domain, at::ScalarType dtype, bool joint)
    : size_(planes_of(domain)), joint_(joint) {
  const at::TensorOptions options = at::TensorOptions().dtype(dtype);
  const int64_t most = size_.numbers() >= large ? threads_in_use() : 1;
  bands_ = std::clamp<int64_t>(size_.height / least_rows, 1, most);
  r_ = at::zeros({2, size_.numbers()}, options);
  p_ = at::zeros({2, size_.numbers()}, options);
  work_ = at::empty({bands_, TvBand<double>::work_size(size_)}, options);
  halo_ = at::empty({bands_, 3 * size_.row()}, options);
  rows_ = at::zeros({2, size_.height}, at::kDouble);
}

template <class Value>
std::pair<double, double> TotalVariation::sums(const Tensor& x, const Tensor& p) const {
  double* variation = rows_.data_ptr<double>();
  double* inner = variation + size_.height;
  for_each(bands_, [&](int64_t b) {
    tv_sums<Value>(size_, x.data_ptr<Value>(), p.defined() ? p.data_ptr<Value>() : nullptr, joint_,
                   b * size_.height / bands_, (b + 1) * size_.height / bands_,
                   work_.data_ptr<Value>() + b * work_.size(1), variation, inner);
  });
  double total = 0, product = 0;
  for (int64_t i = 0; i < size_.height; ++i) {
    total += variation[i];
    product += inner[i];
  }
  return {total, product};
}

double TotalVariation::value(const Tensor& x) const {
  return x.scalar_type() == at::kDouble ? sums<double>(x, {}).first : sums<float>(x, {}).first;
}

template <class Value>
double TotalVariation::gap(const Tensor& x, double weight) const {
  const auto [variation, inner] = sums<Value>(x, p_);
  return weight * (variation - inner);
}

void TotalVariation::forget() {
  r_.zero_();
  p_.zero_();
}

TotalVariation::Outcome TotalVariation::prox(const Tensor& z, double weight, int64_t steps, double tolerance,
                                             Tensor& x) {
  if (!(weight > 0)) {
    x.copy_(z);
    return {0, 0};
  }
  return z.scalar_type() == at::kDouble ? prox_of<double>(z, weight, steps, tolerance, x)
                                        : prox_of<float>(z, weight, steps, tolerance, x);
}

template <class Value>
TotalVariation::Outcome TotalVariation::prox_of(const Tensor& z, double weight, int64_t steps,
                                                double tolerance, Tensor& x) {
  const double lipschitz = size_.height == 1 || size_.width == 1 ? 4 : 8;
  TvStep<Value> step{.z = z.data_ptr<Value>(),
                     .r = r_.data_ptr<Value>(),
                     .p = p_.data_ptr<Value>(),
                     .weight = static_cast<Value>(weight),
                     .step = static_cast<Value>(1 / (lipschitz * weight)),
                     .momentum = 0,
                     .joint = joint_};
  std::vector<TvBand<Value>> bands;
  for (int64_t b = 0; b < bands_; ++b) {
    Value* halo = halo_.data_ptr<Value>() + b * halo_.size(1);
    bands.push_back({b * size_.height / bands_, (b + 1) * size_.height / bands_, halo, halo + size_.row(),
                     work_.data_ptr<Value>() + b * work_.size(1)});
  }
  const auto to_primal = [&] {
    for_each(bands_, [&](int64_t b) {
      tv_primal<Value>(size_, step.z, step.p, step.weight, bands[b].begin, bands[b].end, x.data_ptr<Value>());
    });
  };
  const std::function<void(int64_t)> climb = [&](int64_t b) { tv_step(size_, step, bands[b]); };
  const Tensor row = z.view({1, -1});
  const double target = tolerance > 0 ? tolerance * (0.5 * row_dot(row, row).item<double>() + 1e-300) : 0;
  r_.copy_(p_);
  double t = 1, last = NAN;
  int64_t k = 0;
  while (k < steps) {
    const double next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    step.momentum = static_cast<Value>((t - 1) / next);
    t = next;
    if (bands_ > 1) {
      for (const auto& band : bands) tv_read_neighbours(size_, static_cast<const Value*>(step.r), band);
    }
    for_each(bands_, climb);
    ++k;
    if (target == 0 || (k % look_every != 0 && k != steps)) continue;
    to_primal();
    last = gap<Value>(x, weight);
    if (last <= target) return {k, last};
  }
  to_primal();
  return {k, last};
}

}  // namespace tweedie
