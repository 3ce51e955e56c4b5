// Hyvarinen, "Estimation of non-normalized statistical models by score matching", JMLR 2005, theorem 1: for p
// that falls off, E |s - grad log p|^2 = E [|s|^2 + 2 tr ds/dy] + constant. Applied to p_sigma, weight
// sigma^2.

#include "train/denoising.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

namespace tweedie {

Tensor level_quantile(const IsmObjective& objective, double, const Tensor& u) {
  return (normal_quantile(u) * objective.p_std + objective.p_mean).exp();
}

Tensor objective_loss(const IsmObjective&, const DiffusionTask& task, const Tensor& x, const Tensor& sigma,
                      Noise& noise) {
  const at::AutoGradMode gradients(true);
  const Tensor y = (x + sigma * noise.normal_like(x)).requires_grad_();
  const Tensor s = differentiable_score(task, y, sigma), flat = s.flatten(1);
  Tensor trace = at::zeros_like(flat.select(1, 0));
  for (int64_t i = 0; i < flat.size(1); ++i) {
    const Tensor row = torch::autograd::grad({flat.select(1, i).sum()}, {y}, {}, /*retain_graph=*/true,
                                             /*create_graph=*/true)[0];
    trace = trace + row.flatten(1).select(1, i);
  }
  return (sigma.flatten().square() * (flat.square().sum(1) + 2 * trace)).sum();
}

}  // namespace tweedie
