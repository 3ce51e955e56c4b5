// Every regression on the clean x is one on the network's own output:
//   w |D - x|^2 = w c_out^2 |F - (x - c_skip y) / c_out|^2,   y = x + sigma n
// (predictor.h has c_skip and c_out of each kind of network).

#include "train/denoising.h"

#include "prior/scaling.h"
#include "train/square_error.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tweedie {

// In float64, for the tails
Tensor normal_quantile(const Tensor& u) {
  return at::special_ndtri(u.to(at::kDouble)).to(u.scalar_type());
}

Tensor relative_weight(Weighting weighting, const Tensor& c_out, const Tensor& sigma, double sigma_data) {
  const auto s2 = [&] { return (sigma / sigma_data).square(); };
  const auto error = [&] { return (c_out / sigma_data).square(); };
  switch (weighting) {
    case Weighting::natural:
      return {};
    case Weighting::data:
      return error();
    case Weighting::noise:
      return error() / s2();
    case Weighting::edm:
      return error() * (1 + 1 / s2());
    case Weighting::min_snr:
      return error() * (1 / s2()).clamp_max(5);
  }
  return {};
}

namespace {

// Of a Tensor with NetworkScaling or of a number with LevelScaling
template <class Scaling, class Value>
Value target_of(NetworkOutput output, const Scaling& scaling, double sigma_data, const Value& x,
                const Value& n, const Value& y) {
  if (output == NetworkOutput::noise) return n;
  if (output == NetworkOutput::flow) return n - x / sigma_data;
  return (x - scaling.c_skip * y) / scaling.c_out;
}

// In one pass, as a small network takes no longer than a few of libtorch's operations. All float32 on the
// CPU, a sigma for each row.
NoisyRows rows_in_one_pass(const DiffusionTask& task, NetworkOutput output, const Tensor& x,
                           const Tensor& sigma, const Tensor& n) {
  const int64_t rows = x.size(0), size = x.numel() / std::max<int64_t>(1, rows);
  const auto like = [](const Tensor& tensor) { return at::empty(tensor.sizes(), tensor.options()); };
  const NoisyRows result{
      x, sigma, n, like(x), like(x), like(x), {like(sigma), like(sigma), like(sigma), like(sigma)}};
  const Tensor clean = x.contiguous(), noise = n.contiguous(), levels = sigma.contiguous();
  const auto *from = clean.data_ptr<float>(), *from_noise = noise.data_ptr<float>(),
             *level = levels.data_ptr<float>();
  const auto& [c_skip, c_out, c_in, c_noise] = result.scaling;
  float *y = result.y.data_ptr<float>(), *input = result.input.data_ptr<float>(),
        *target = result.target.data_ptr<float>(), *skip = c_skip.data_ptr<float>(),
        *out = c_out.data_ptr<float>(), *in = c_in.data_ptr<float>(), *t = c_noise.data_ptr<float>();
  for (int64_t row = 0; row < rows; ++row) {
    const double s = level[row];
    const LevelScaling scaling = network_scaling(output, s, task.sigma_data);
    skip[row] = static_cast<float>(scaling.c_skip);
    out[row] = static_cast<float>(scaling.c_out);
    in[row] = static_cast<float>(scaling.c_in);
    t[row] = static_cast<float>(scaling.c_noise);
    for (int64_t i = row * size; i < (row + 1) * size; ++i) {
      const double x_i = from[i], n_i = from_noise[i], y_i = x_i + s * n_i;
      y[i] = static_cast<float>(y_i);
      input[i] = static_cast<float>(scaling.c_in * y_i);
      target[i] = static_cast<float>(target_of(output, scaling, task.sigma_data, x_i, n_i, y_i));
    }
  }
  return result;
}

bool fit_one_pass(const Tensor& x, const Tensor& sigma, const Tensor& n) {
  for (const Tensor& tensor : {x, sigma, n}) {
    if (!tensor.is_cpu() || tensor.scalar_type() != at::kFloat || tensor.requires_grad()) return false;
  }
  return sigma.numel() == x.size(0) && n.sizes() == x.sizes();
}

}  // namespace

NoisyRows noisy_rows(const DiffusionTask& task, NetworkOutput output, const Tensor& x, const Tensor& sigma,
                     const Tensor& n) {
  if (fit_one_pass(x, sigma, n)) return rows_in_one_pass(task, output, x, sigma, n);
  const NetworkScaling scaling = network_scaling(output, sigma, task.sigma_data);
  const Tensor y = x + sigma * n;
  return {x, sigma, n, y, scaling.c_in * y, target_of(output, scaling, task.sigma_data, x, n, y), scaling};
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
