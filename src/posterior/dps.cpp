// Diffusion posterior sampling. Chung, Kim, McCann, Klasky, Ye, "Diffusion posterior sampling for general
// noisy inverse problems", ICLR 2023.
//
//   r = y - h(D(x)),   D_y = D + w J^T (dh/dx)^T r
//
// under Gaussian noise. Under any other r is the derivative of log p(y | z) at z = h(D), and its own weight w
// sigma^2.
//
//   w = sigma^2 / noise_std^2                                   the likelihood's own weight
//   w = step_size sqrt(1 - beta) sigma^2 / (beta ||r||)         the paper's rule: after each DDPM step,
//                                                               x' - step_size grad_{x_t} ||r||
// In the coordinate x_sigma = x_t / alpha_t the ancestral step of DDPM has tau = beta / (alpha_t sigma)^2
// before D, grad_{x_t} is grad_x / alpha_t, and x' = alpha_s x_s with alpha_s = alpha_t / sqrt(1 - beta). So
// the shift of D that moves x' as the paper does is step_size / (tau alpha_t alpha_s) grad_x ||r||.

#include "core/rows.h"
#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// beta_t of DDPM's own schedule (1000 linear steps) at the step whose level is nearest, in log sigma
double ddpm_beta(double sigma) {
  static const std::vector<double> log_sigma = [] {
    const Tensor bar = alpha_bar(VpLinear{}).slice(0, 1);
    const Tensor log = ((1 - bar) / bar).log() / 2;
    return std::vector<double>(log.data_ptr<double>(), log.data_ptr<double>() + log.numel());
  }();
  const double target = std::log(sigma);
  const auto above = std::lower_bound(log_sigma.begin(), log_sigma.end(), target);
  int64_t t = std::min<int64_t>(above - log_sigma.begin(), static_cast<int64_t>(log_sigma.size()) - 1);
  if (t > 0 && std::abs(log_sigma[t - 1] - target) < std::abs(log_sigma[t] - target)) --t;
  const VpLinear ddpm;
  return ddpm.beta_start + (ddpm.beta_end - ddpm.beta_start) * static_cast<double>(t) /
                               static_cast<double>(ddpm.train_steps - 1);
}

class Dps final : public GuidedDenoiser {
 public:
  Dps(const DpsOptions& options, std::shared_ptr<const Denoiser> prior, const Likelihood& likelihood,
      Tensor y, Tally* tally)
      : GuidedDenoiser("dps", std::move(prior), likelihood, std::move(y), tally), options_(options) {}

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const ForwardOperator& h = likelihood_.forward();
    const Linearised prior = linearise_prior(x, sigma);
    const Tensor z = h.apply(prior.mean);
    const Tensor r = gaussian() ? y_ - z : likelihood_.noise().slope(y_, z).derivative.to(x.scalar_type());
    const Tensor gradient = prior.vjp(h.vjp(prior.mean, r));
    count(x.size(0), 1, 2);
    return prior.mean + weight(r, sigma, x) * gradient;
  }

 private:
  bool gaussian() const { return likelihood_.noise().noise_std().has_value(); }

  Tensor weight(const Tensor& r, const Tensor& sigma, const Tensor& x) const {
    if (!options_.step_size) return gaussian() ? sigma.square() / noise_variance() : sigma.square();
    const Tensor norm = row_dot(r, r).sqrt().clamp_min(1e-30);
    Tensor step = sigma.to(at::kDouble).clone().reshape({-1});
    for (int64_t i = 0; i < step.numel(); ++i) {
      const double s = step[i].item<double>(), beta = ddpm_beta(s);
      step[i] = *options_.step_size * std::sqrt(1 - beta) * s * s / beta;
    }
    return per_row(step / norm, x);
  }

  DpsOptions options_;
};

}  // namespace

std::shared_ptr<const Denoiser> guide(const DpsOptions& options, std::shared_ptr<const Denoiser> prior,
                                      const Likelihood& likelihood, Tensor y, Tally* tally) {
  if (!options.step_size) require_density(likelihood, "dps");
  if (options.step_size && !(*options.step_size > 0 && std::isfinite(*options.step_size))) {
    throw Error("method.step_size", fmt::format("{}: a positive number is needed", *options.step_size));
  }
  return std::make_shared<Dps>(options, std::move(prior), likelihood, std::move(y), tally);
}

}  // namespace tweedie
