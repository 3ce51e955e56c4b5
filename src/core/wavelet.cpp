#include "core/wavelet.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t most_levels = 4;

// Periodic continuation by `more` numbers at the end of an axis
Tensor continued(const Tensor& x, int64_t axis, int64_t more) {
  const int64_t n = x.size(axis);
  if (more > n) return x.index_select(axis, at::arange(n + more, at::kLong).remainder(n).to(x.device()));
  return more == 0 ? x : at::cat({x, x.narrow(axis, 0, more)}, axis);
}

Tensor analyse(const Tensor& x, int64_t axis, const std::vector<double>& low,
               const std::vector<double>& high) {
  const int64_t n = x.size(axis), length = static_cast<int64_t>(low.size());
  const Tensor from = continued(x, axis, length - 2);
  Tensor a, d;
  for (int64_t k = 0; k < length; ++k) {
    const Tensor part = from.slice(axis, k, k + n - 1, 2);
    a = k == 0 ? part * low[k] : a.add_(part, low[k]);
    d = k == 0 ? part * high[k] : d.add_(part, high[k]);
  }
  return at::cat({a, d}, axis);
}

Tensor synthesise(const Tensor& c, int64_t axis, const std::vector<double>& low,
                  const std::vector<double>& high) {
  const int64_t n = c.size(axis), length = static_cast<int64_t>(low.size()), more = length - 2;
  Shape shape = c.sizes().vec();
  shape[axis] = n + more;
  const Tensor x = at::zeros(shape, c.options());
  const Tensor a = c.narrow(axis, 0, n / 2), d = c.narrow(axis, n / 2, n / 2);
  for (int64_t k = 0; k < length; ++k) {
    const Tensor part = x.slice(axis, k, k + n - 1, 2);
    part.add_(a, low[k]);
    part.add_(d, high[k]);
  }
  for (int64_t begin = n; begin < n + more; begin += n) {
    const int64_t count = std::min(n, n + more - begin);
    x.narrow(axis, 0, count).add_(x.narrow(axis, begin, count));
  }
  return x.narrow(axis, 0, n);
}

}  // namespace

std::vector<double> daubechies(int moments) {
  switch (moments) {
    case 1:
      return {std::sqrt(0.5), std::sqrt(0.5)};
    case 2: {
      const double r = std::sqrt(3.0), s = 4 * std::sqrt(2.0);
      return {(1 + r) / s, (3 + r) / s, (3 - r) / s, (1 - r) / s};
    }
    case 3: {
      const double r = std::sqrt(10.0), q = std::sqrt(5 + 2 * r), s = 16 * std::sqrt(2.0);
      return {(1 + r + q) / s,          (5 + r + 3 * q) / s, (10 - 2 * r + 2 * q) / s,
              (10 - 2 * r - 2 * q) / s, (5 + r - 3 * q) / s, (1 + r - q) / s};
    }
    case 4:
      return {0.2303778133088964,  0.7148465705529154, 0.6308807679298587, -0.0279837694168599,
              -0.1870348117190931, 0.0308413818355607, 0.0328830116668852, -0.0105974017850690};
    default:
      throw Error("wavelet", fmt::format("{} vanishing moments: 1 to 4 are meant", moments));
  }
}

WaveletTransform::WaveletTransform(const Shape& domain, int moments, int64_t levels)
    : low_(daubechies(moments)), axes_(domain.size() == 1 ? 1 : 2) {
  const auto length = static_cast<int64_t>(low_.size());
  for (int64_t k = 0; k < length; ++k) high_.push_back((k % 2 == 0 ? 1 : -1) * low_[length - 1 - k]);
  sides_ = Shape(domain.end() - axes_, domain.end());
  int64_t possible = 0;
  const auto divides = [&](int64_t level) {
    return std::all_of(sides_.begin(), sides_.end(), [&](int64_t n) {
      return n % (int64_t{1} << level) == 0 && (levels > 0 || (n >> (level - 1)) >= length);
    });
  };
  while (possible < 62 && divides(possible + 1)) ++possible;
  levels_ = levels == 0 ? std::min(possible, most_levels) : levels;
  if (levels_ > possible || levels_ < 1) {
    throw Error(
        "method.levels",
        fmt::format(
            "{}, but sides of {} allow {}: each halves them, and they have to be even before and, where "
            "no number is given, at least {}",
            std::max<int64_t>(levels_, 1), to_string(sides_), possible, length));
  }
}

Tensor WaveletTransform::block(const Tensor& x, int64_t level) const {
  Tensor result = x;
  for (int64_t i = 0; i < axes_; ++i) result = result.narrow(x.dim() - axes_ + i, 0, sides_[i] >> level);
  return result;
}

Tensor WaveletTransform::averages(const Tensor& coefficients) const {
  return block(coefficients, levels_);
}

Tensor WaveletTransform::forward(const Tensor& x) const {
  Tensor c = x.clone();
  for (int64_t level = 0; level < levels_; ++level) {
    const Tensor part = block(c, level);
    Tensor y = part;
    for (int64_t axis = x.dim() - axes_; axis < x.dim(); ++axis) y = analyse(y, axis, low_, high_);
    part.copy_(y);
  }
  return c;
}

Tensor WaveletTransform::inverse(const Tensor& coefficients) const {
  Tensor x = coefficients.clone();
  for (int64_t level = levels_ - 1; level >= 0; --level) {
    const Tensor part = block(x, level);
    Tensor y = part;
    for (int64_t axis = x.dim() - 1; axis >= x.dim() - axes_; --axis) y = synthesise(y, axis, low_, high_);
    part.copy_(y);
  }
  return x;
}

}  // namespace tweedie
