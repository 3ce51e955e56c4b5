// Every regression on the clean x is one on the network's own output:
//   w |D - x|^2 = w c_out^2 |F - (x - c_skip y) / c_out|^2,   y = x + sigma n
// (predictor.h has c_skip and c_out of each kind of network).

#include "train/denoising.h"

#include "prior/scaling.h"
#include "train/square_error.h"

#include <ATen/ATen.h>

namespace tweedie {

Tensor normal_quantile(const Tensor& u) {
  return at::special_ndtri(u.to(at::kDouble)).to(u.scalar_type());
}

Tensor relative_weight(Weighting weighting, const Tensor& c_out, const Tensor& sigma, double sigma_data) {
  if (weighting == Weighting::natural) return {};
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

namespace {

// As noisy_rows() has them, in one pass: a small network takes as long as a few of libtorch's operations.
void fill_row(NetworkOutput output, double sigma_data, const LevelScaling& scaling, float sigma,
              const float* x, const float* n, int64_t size, float* y, float* input, float* target) {
  const auto c_skip = static_cast<float>(scaling.c_skip), c_in = static_cast<float>(scaling.c_in),
             per_out = static_cast<float>(1 / scaling.c_out), per_data = static_cast<float>(1 / sigma_data);
  for (int64_t i = 0; i < size; ++i) {
    y[i] = x[i] + sigma * n[i];
    input[i] = c_in * y[i];
    target[i] = output == NetworkOutput::noise  ? n[i]
                : output == NetworkOutput::flow ? n[i] - x[i] * per_data
                                                : (x[i] - c_skip * y[i]) * per_out;
  }
}

NoisyRows rows_on_cpu(const DiffusionTask& task, NetworkOutput output, const Tensor& x, const Tensor& sigma,
                      const Tensor& n) {
  const int64_t rows = x.size(0), size = x.numel() / std::max<int64_t>(1, rows);
  const auto like = [](const Tensor& tensor) { return at::empty(tensor.sizes(), at::kFloat); };
  NoisyRows result{
      x, sigma, n, like(x), like(x), like(x), {like(sigma), like(sigma), like(sigma), like(sigma)}};
  auto& [c_skip, c_out, c_in, c_noise] = result.scaling;
  const Tensor clean = x.contiguous(), noise = n.contiguous(), levels = sigma.contiguous();
  const auto *from = clean.data_ptr<float>(), *from_noise = noise.data_ptr<float>(),
             *level = levels.data_ptr<float>();
  float *y = result.y.data_ptr<float>(), *input = result.input.data_ptr<float>(),
        *target = result.target.data_ptr<float>(), *skip = c_skip.data_ptr<float>(),
        *out = c_out.data_ptr<float>(), *in = c_in.data_ptr<float>(), *t = c_noise.data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row) {
    const LevelScaling scaling = network_scaling(output, static_cast<double>(level[row]), task.sigma_data);
    skip[row] = static_cast<float>(scaling.c_skip);
    out[row] = static_cast<float>(scaling.c_out);
    in[row] = static_cast<float>(scaling.c_in);
    t[row] = static_cast<float>(scaling.c_noise);
    const int64_t at = row * size;
    fill_row(output, task.sigma_data, scaling, level[row], from + at, from_noise + at, size, y + at,
             input + at, target + at);
  }
  return result;
}

}  // namespace

NoisyRows noisy_rows(const DiffusionTask& task, NetworkOutput output, const Tensor& x, const Tensor& sigma,
                     const Tensor& n) {
  if (x.is_cpu() && x.scalar_type() == at::kFloat && sigma.scalar_type() == at::kFloat)
    return rows_on_cpu(task, output, x, sigma, n);
  const NetworkScaling scaling = network_scaling(output, sigma, task.sigma_data);
  const Tensor y = x + sigma * n;
  const Tensor target = output == NetworkOutput::noise  ? n
                        : output == NetworkOutput::flow ? n - x / task.sigma_data
                                                        : (x - scaling.c_skip * y) / scaling.c_out;
  return {x, sigma, n, y, scaling.c_in * y, target, scaling};
}

Tensor predict(const DiffusionTask& task, const NoisyRows& rows) {
  return task.bound(rows.input, rows.scaling.c_noise.flatten(), task.labels);
}

Tensor denoising_loss_of(const Tensor& prediction, const DiffusionTask& task, Weighting weighting,
                         const NoisyRows& rows) {
  const Tensor weight = relative_weight(weighting, rows.scaling.c_out, rows.sigma, task.sigma_data);
  return square_error(prediction, rows.target, weight);
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
