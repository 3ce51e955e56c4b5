// PSNR and SSIM (Wang et al. 2004, "Image quality assessment: from error visibility to structural
// similarity").

#include "tweedie/metrics.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

void require_pair(const Tensor& x, const Tensor& truth, double range, int64_t axes,
                  const std::string& place) {
  if (x.sizes() != truth.sizes() || x.dim() < axes || x.numel() == 0) {
    throw Error(place, fmt::format("shapes {} and {}; one shape of at least {} axes, not empty, is meant",
                                   to_string(x.sizes()), to_string(truth.sizes()), axes));
  }
  if (!(range > 0) || !std::isfinite(range)) {
    throw Error(place + ".range", fmt::format("{}, but a positive width of the values is meant", range));
  }
  require_real(x, place);
  require_real(truth, place);
  require_finite(x, place);
  require_finite(truth, place);
}

// (n - k + 1, n): row i averages the k entries from i on with Gaussian weights.
Tensor sliding_average(int64_t n, int64_t k) {
  constexpr double window_std = 1.5;
  const Tensor offset = at::arange(k, at::kDouble) - static_cast<double>(k - 1) / 2;
  const Tensor weight = at::softmax(-offset.square() / (2 * window_std * window_std), 0);
  Tensor result = at::zeros({n - k + 1, n}, at::kDouble);
  for (int64_t i = 0; i + k <= n; ++i) result[i].slice(0, i, i + k).copy_(weight);
  return result;
}

}  // namespace

Tensor psnr(const Tensor& x, const Tensor& truth, double range) {
  require_pair(x, truth, range, 1, "psnr");
  const Tensor error = (x.to(at::kDouble) - truth.to(at::kDouble)).reshape({x.size(0), -1});
  return -10 * (error.square().mean(1) / (range * range)).log10();
}

Tensor ssim(const Tensor& x, const Tensor& truth, double range) {
  require_pair(x, truth, range, 2, "ssim");
  const int64_t height = x.size(-2), width = x.size(-1), shorter = std::min(height, width);
  const int64_t k = std::min<int64_t>(11, shorter - (shorter + 1) % 2);
  const Tensor down = sliding_average(height, k).to(x.device());
  const Tensor across = sliding_average(width, k).to(x.device()).t();
  const auto average = [&](const Tensor& v) { return down.matmul(v).matmul(across); };

  const Tensor a = x.detach().to(at::kDouble), b = truth.detach().to(at::kDouble);
  const Tensor mean_a = average(a), mean_b = average(b);
  const Tensor var_a = average(a * a) - mean_a * mean_a, var_b = average(b * b) - mean_b * mean_b;
  const Tensor covariance = average(a * b) - mean_a * mean_b;
  const double c1 = 1e-4 * range * range, c2 = 9e-4 * range * range;
  const Tensor luminance = (2 * mean_a * mean_b + c1) / (mean_a.square() + mean_b.square() + c1);
  const Tensor structure = (2 * covariance + c2) / (var_a + var_b + c2);
  return (luminance * structure).mean({-2, -1});
}

}  // namespace tweedie
