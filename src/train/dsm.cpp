// Vincent, "A connection between score matching and denoising autoencoders", Neural Computation 2011, at one
// level, on the scale of EDM's network.

#include "train/denoising.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor level_quantile(const DsmObjective& objective, double, const Tensor& u) {
  return at::full_like(u, objective.sigma);
}

Tensor objective_loss(const DsmObjective&, const DiffusionTask& task, const Tensor& x, const Tensor& sigma,
                      Noise& noise) {
  return denoising_loss(task, NetworkOutput::edm, Weighting::natural, x, sigma, noise.normal_like(x));
}

}  // namespace tweedie
