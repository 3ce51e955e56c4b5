// Song, Ermon, "Generative modeling by estimating gradients of the data distribution", NeurIPS 2019, eq. 6:
// sigma^2 |s + n / sigma|^2 with s = -F / sigma, at L levels, sigma_max (sigma_min / sigma_max)^(i / (L -
// 1)).

#include "train/denoising.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

Tensor level_quantile(const NcsnObjective& objective, double, const Tensor& u) {
  const double low = std::log(objective.sigma_min), range = std::log(objective.sigma_max) - low;
  if (!objective.levels) return (low + range * u).exp();
  const double count = static_cast<double>(*objective.levels);
  const Tensor level = (u * count).floor().clamp(0, count - 1);
  return (low + level * (range / std::max(1.0, count - 1))).exp();
}

Tensor objective_loss(const NcsnObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  return denoising_loss(task, NetworkOutput::noise, objective.weighting, x, sigma, noise.normal_like(x));
}

}  // namespace tweedie
