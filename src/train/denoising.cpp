// Every regression on the clean x is one on the network's own output:
//   w |D - x|^2 = w c_out^2 |F - (x - c_skip y) / c_out|^2,   y = x + sigma n
// (predictor.h has c_skip and c_out of each kind of network).

#include "train/denoising.h"

#include "train/square_error.h"

#include <ATen/ATen.h>

#include <numbers>

namespace tweedie {

Tensor normal_quantile(const Tensor& u) {
  // In float64: in float32 2 u - 1 is -1 for u below 2^-25, whose quantile is infinite.
  const Tensor z = std::numbers::sqrt2 * at::erfinv(2 * u.to(at::kDouble) - 1);
  return z.to(u.scalar_type());
}

Tensor relative_weight(Weighting weighting, const Tensor& c_out, const Tensor& sigma, double sigma_data) {
  const Tensor s2 = (sigma / sigma_data).square(), error = (c_out / sigma_data).square();
  switch (weighting) {
    case Weighting::natural:
      return {};
    case Weighting::data:
      return error;
    case Weighting::noise:
      return error / s2;
    case Weighting::edm:
      return error * (1 + 1 / s2);
    case Weighting::min_snr:
      return error * (1 / s2).clamp_max(5);
  }
  return {};
}

NoisyRows noisy_rows(const DiffusionTask& task, NetworkOutput output, const Tensor& x, const Tensor& sigma,
                     const Tensor& n) {
  return {x, sigma, n, x + sigma * n, output, network_scaling(output, sigma, task.sigma_data)};
}

Tensor predict(const DiffusionTask& task, const NoisyRows& rows) {
  return task.bound(rows.scaling.c_in * rows.y, rows.scaling.c_noise.flatten(), task.labels);
}

Tensor denoising_loss_of(const Tensor& prediction, const DiffusionTask& task, Weighting weighting,
                         const NoisyRows& rows) {
  const auto& [x, sigma, n, y, output, scaling] = rows;
  // The targets of noise and flow, without the cancellation in x - c_skip y at small sigma
  const Tensor target = output == NetworkOutput::noise  ? n
                        : output == NetworkOutput::flow ? n - x / task.sigma_data
                                                        : (x - scaling.c_skip * y) / scaling.c_out;
  return square_error(prediction, target, relative_weight(weighting, scaling.c_out, sigma, task.sigma_data));
}

Tensor denoising_loss(const DiffusionTask& task, NetworkOutput output, Weighting weighting, const Tensor& x,
                      const Tensor& sigma, const Tensor& n) {
  const NoisyRows rows = noisy_rows(task, output, x, sigma, n);
  return denoising_loss_of(predict(task, rows), task, weighting, rows);
}

Tensor differentiable_score(const DiffusionTask& task, const Tensor& y, const Tensor& sigma) {
  const auto [c_skip, c_out, c_in, c_noise] = network_scaling(NetworkOutput::edm, sigma, task.sigma_data);
  const Tensor f = task.network.forward(task.weights, c_in * y, c_noise.flatten(), task.labels);
  return ((c_skip - 1) * y + c_out * f) / sigma.square();
}

}  // namespace tweedie
