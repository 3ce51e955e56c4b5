#include "tweedie/data_scale.h"

#include "core/shape.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

DataScale data_scale(const Tensor& x) {
  require_real(x, "data");
  if (x.numel() == 0) throw Error("data", "no values to take the mean of");
  require_finite(x, "data");
  // In chunks: a float64 copy of the whole data set may not fit.
  const Tensor flat = x.detach().reshape({-1});
  const auto chunks = flat.split(int64_t{1} << 20);
  const auto count = static_cast<double>(flat.numel());
  double mean = 0, variance = 0;
  for (const Tensor& chunk : chunks) mean += chunk.to(at::kDouble).sum().item<double>() / count;
  for (const Tensor& chunk : chunks)
    variance += (chunk.to(at::kDouble) - mean).square().sum().item<double>() / count;
  return {mean, variance > 0 ? std::sqrt(variance) : 1.0};
}

}  // namespace tweedie
