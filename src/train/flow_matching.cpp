// Lipman, Chen, Ben-Hamu, Nickel, Le, "Flow matching for generative modeling", ICLR 2023, with the straight
// path x_t = (1 - t) x + t n, here on x / sigma_data: sigma = sigma_data t / (1 - t). Pairs of least squared
// distance: Tong et al., "Improving and generalizing flow-based generative models with minibatch optimal
// transport", TMLR 2024. A pair's t is drawn apart from it, so any pairing keeps both marginals of a batch.

#include "core/assignment.h"
#include "train/denoising.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor level_quantile(const FlowMatchingObjective& objective, double sigma_data, const Tensor& u) {
  // ln(t / (1 - t)) is ln(sigma / sigma_data)
  const Tensor logit =
      objective.times == FlowMatchingObjective::Times::uniform ? u.log() - at::log1p(-u) : normal_quantile(u);
  return sigma_data * logit.exp();
}

Tensor objective_loss(const FlowMatchingObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  Tensor n = noise.normal_like(x);
  if (objective.optimal_transport) {
    const Tensor cost =
        at::cdist(x.flatten(1).to(at::kDouble) / task.sigma_data, n.flatten(1).to(at::kDouble));
    n = n.index_select(0, at::tensor(least_cost_assignment(cost.square())).to(n.device()));
  }
  return denoising_loss(task, NetworkOutput::flow, objective.weighting, x, sigma, n);
}

}  // namespace tweedie
