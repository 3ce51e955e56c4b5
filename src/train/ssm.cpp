// Song, Garg, Shi, Ermon, "Sliced score matching", UAI 2019, eqs. 7 and 8: E_v [v^T ds/dy v] = tr ds/dy and
// E_v (v^T s)^2 = |s|^2 for E v v^T = I. Applied to p_sigma, weight sigma^2.

#include "train/denoising.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {

namespace {

Tensor direction(SsmObjective::Direction kind, const Tensor& like, Noise& noise) {
  const Tensor z = noise.normal_like(like).flatten(1);
  switch (kind) {
    case SsmObjective::Direction::rademacher:
      return at::where(z < 0, -at::ones_like(z), at::ones_like(z));
    case SsmObjective::Direction::gaussian:
      return z;
    case SsmObjective::Direction::sphere:
      return z * (std::sqrt(static_cast<double>(z.size(1))) / z.norm(2, {1}, /*keepdim=*/true));
  }
  return z;
}

}  // namespace

Tensor level_quantile(const SsmObjective& objective, double, const Tensor& u) {
  return (normal_quantile(u) * objective.p_std + objective.p_mean).exp();
}

Tensor objective_loss(const SsmObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  const at::AutoGradMode gradients(true);
  const Tensor y = (x + sigma * noise.normal_like(x)).requires_grad_();
  const Tensor s = differentiable_score(task, y, sigma), flat = s.flatten(1);
  Tensor total = at::zeros_like(flat.select(1, 0));
  for (int64_t i = 0; i < objective.projections; ++i) {
    const Tensor v = direction(objective.direction, y, noise);
    const Tensor along = (v * flat).sum(1);
    const Tensor derivative =
        torch::autograd::grad({along.sum()}, {y}, {}, /*retain_graph=*/true, /*create_graph=*/true)[0];
    const Tensor size = objective.variance_reduced ? flat.square().sum(1) : along.square();
    total = total + size + 2 * (v * derivative.flatten(1)).sum(1);
  }
  return (sigma.flatten().square() * total).sum() / static_cast<double>(objective.projections);
}

}  // namespace tweedie
