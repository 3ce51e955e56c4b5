#include "train/edm.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor edm_loss(const EdmObjective& objective, const Network::Bound& network, double sigma_data,
                const Tensor& x, Noise& noise) {
  Shape per_row(x.dim(), 1);
  per_row[0] = x.size(0);
  const Tensor sigma =
      (noise.normal(per_row, at::kFloat) * objective.p_std + objective.p_mean).exp().to(x.device());
  const Tensor noisy = x + sigma * noise.normal_like(x);

  const Tensor total = (sigma.square() + sigma_data * sigma_data).sqrt();
  const Tensor c_skip = sigma_data * sigma_data / total.square(), c_out = sigma * sigma_data / total;
  const Tensor c_in = 1 / total, c_noise = sigma.log().flatten() / 4;

  // weight |D - x|^2 = |F - (x - c_skip noisy) / c_out|^2, since weight = 1 / c_out^2
  const Tensor target = (x - c_skip * noisy) / c_out;
  return (network(c_in * noisy, c_noise) - target).square().sum();
}

}  // namespace tweedie
