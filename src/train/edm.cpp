// Karras, Aittala, Aila, Laine, "Elucidating the design space of diffusion-based generative models", NeurIPS
// 2022, table 1: ln sigma ~ N(p_mean, p_std^2).

#include "train/denoising.h"

namespace tweedie {

Tensor level_quantile(const EdmObjective& objective, double, const Tensor& u) {
  return (normal_quantile(u) * objective.p_std + objective.p_mean).exp();
}

Tensor objective_loss(const EdmObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  return denoising_loss(task, NetworkOutput::edm, objective.weighting, x, sigma, noise.normal_like(x));
}

}  // namespace tweedie
