// Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 14: step t uniform on 1 ..
// T, sigma / sigma_data = sqrt((1 - alpha-bar_t) / alpha-bar_t).

#include "train/denoising.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor level_quantile(const DdpmObjective& objective, double sigma_data, const Tensor& u) {
  const Tensor a = std::visit([](const auto& path) { return alpha_bar(path); }, objective.path).slice(0, 1);
  const Tensor levels = sigma_data * ((1 - a) / a).sqrt();
  const Tensor step = (u.to(at::kDouble) * static_cast<double>(levels.numel())).to(at::kLong);
  return levels.take(step.clamp(0, levels.numel() - 1)).to(u.scalar_type());
}

Tensor objective_loss(const DdpmObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  return denoising_loss(task, network_output(objective), objective.weighting, x, sigma, noise.normal_like(x));
}

}  // namespace tweedie
