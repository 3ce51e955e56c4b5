// Ho, Jain, Abbeel, "Denoising diffusion probabilistic models", NeurIPS 2020, eq. 14: step t uniform on 1 ..
// T, sigma / sigma_data = sqrt((1 - alpha-bar_t) / alpha-bar_t); here t is any number between, at which ln
// sigma is linear, because what is learned at the T steps alone may be anything between them, where other
// samplers look.
//
// With a learned variance, Nichol, Dhariwal, "Improved denoising diffusion probabilistic models", ICML 2021,
// eqs. 15 and 16: L_simple + 0.001 L_vlb, L_vlb = T E_t L_t, where for s = sigma at step t - 1 > 0 and
// without gradient to D
//   L_t = KL(N(m(x), q) || N(m(D), v)) = 1/2 (ln(v / q) + (q + (1 - s^2 / t^2)^2 (x - D)^2) / v - 1) per
//   dimension,   ln v = range ln(large) + (1 - range) ln(small),  q = small
// (src/sampler/ddpm.cpp has m, small and large). The last step, to sigma = 0, has no small variance and is
// left out. This is a loss of steps, so that t is one of them.

#include "train/denoising.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

// sigma / sigma_data at steps 0 .. T, ascending float64
Tensor levels_of(const DdpmObjective& objective) {
  const Tensor a = std::visit([](const auto& path) { return alpha_bar(path); }, objective.path);
  return ((1 - a) / a).sqrt();
}

Tensor loss_with_variance(const DdpmObjective& objective, const DiffusionTask& task, const Tensor& x,
                          const Tensor& sigma, const Tensor& n) {
  const NoisyRows rows = noisy_rows(task, network_output(objective), x, sigma, n);
  const auto parts = predict(task, rows).chunk(2, 1);
  const Tensor d = (rows.scaling.c_skip * rows.y + rows.scaling.c_out * parts[0]).detach(),
               range = (parts[1] + 1) / 2;

  const Tensor levels = task.sigma_data * levels_of(objective).to(sigma.device());
  const Tensor t = sigma.to(at::kDouble);
  const Tensor step = at::searchsorted(levels, (t * (1 - 1e-6)).contiguous());  // of t, float32 or not
  const Tensor s = levels.take((step - 1).clamp_min(0));
  const Tensor added = t.square() - s.square();
  const Tensor small = s.square() / t.square() * added;
  const double unit = task.sigma_data * task.sigma_data;
  const Tensor large = added * (unit + s.square()) / (unit + t.square());
  const Tensor last = s == 0;
  const auto log_of = [&](const Tensor& v) {
    return at::where(last, at::ones_like(v), v).log().to(x.scalar_type());
  };
  const Tensor log_small = log_of(small), log_v = range * log_of(large) + (1 - range) * log_small;
  const Tensor shrink = (1 - s.square() / t.square()).to(x.scalar_type());
  const Tensor error = (shrink * (x - d)).square();
  const Tensor kl = 0.5 * (log_v - log_small + ((log_small - log_v).exp() + error * (-log_v).exp()) - 1);
  const double weight = 1e-3 * static_cast<double>(levels.numel() - 1);
  return weight * at::where(last, at::zeros_like(kl), kl).sum() +
         denoising_loss_of(parts[0], task, objective.weighting, rows);
}

}  // namespace

Tensor level_quantile(const DdpmObjective& objective, double sigma_data, const Tensor& u) {
  const Tensor levels = (sigma_data * levels_of(objective).slice(0, 1)).to(u.device());
  const int64_t last = levels.numel() - 1;
  const Tensor t = u.to(at::kDouble) * static_cast<double>(levels.numel());  // step i from i - 1 to i
  if (objective.learn_variance) return levels.take(t.to(at::kLong).clamp(0, last)).to(u.scalar_type());
  const Tensor between = (t - 0.5).clamp(0, static_cast<double>(last)), below = between.floor();
  const Tensor share = between - below, i = below.to(at::kLong);
  const Tensor log = levels.log();
  return ((1 - share) * log.take(i) + share * log.take((i + 1).clamp_max(last))).exp().to(u.scalar_type());
}

Tensor objective_loss(const DdpmObjective& objective, const DiffusionTask& task, const Tensor& x,
                      const Tensor& sigma, Noise& noise) {
  const Tensor n = noise.normal_like(x);
  if (objective.learn_variance) return loss_with_variance(objective, task, x, sigma, n);
  return denoising_loss(task, network_output(objective), objective.weighting, x, sigma, n);
}

}  // namespace tweedie
