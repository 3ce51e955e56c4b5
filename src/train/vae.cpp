// Kingma and Welling, "Auto-encoding variational Bayes" (ICLR 2014). With z ~ N(0, I), x = f(z) + sigma n and
// q(z | x) = N(mu(x), diag s^2(x)),
//   log p(x) >= ELBO = E_q log p(x | z) - KL(q || N(0, I)),
//   log p(x | z) = -|x - f(z)|^2 / (2 sigma^2) - d/2 ln(2 pi sigma^2),   z = mu + s eps, eps ~ N(0, I),
// the last of which makes the expectation differentiable in mu and s. The importance-weighted bound of Burda,
// Grosse and Salakhutdinov (ICLR 2016):
//   log p(x) >= E log 1/K sum_k w_k,   w = p(x | z) p(z) / q(z | x).
// In the linear case p(x) = N(m, W W^T + sigma^2 I), and the best ELBO is the likelihood of probabilistic PCA
// (Lucas et al. 2019).

#include "tweedie/vae.h"

#include "core/row_slices.h"
#include "core/shape.h"
#include "network/mixed_precision.h"
#include "train/standardise.h"
#include "train/vae_coder.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

const std::string log_noise_variance = "noise.log_variance";

// log N(x; mean, exp(log_variance) I), (B), of x in the scale's units, for rows in the data's
Tensor log_normal(const Tensor& x, const Tensor& mean, const Tensor& log_variance, const DataScale& scale) {
  const Tensor residual = (x - mean).flatten(1);
  const auto d = static_cast<double>(residual.size(1));
  const double constant = d * (std::log(2 * std::numbers::pi) + 2 * std::log(scale.std));
  return -0.5 * (residual.square().sum(1) * (-log_variance).exp() + d * log_variance + constant);
}

}  // namespace

Vae::Vae(const VaeOptions& options, const Shape& shape, const DataScale& scale)
    : shape_(shape), scale_(scale), kl_weight_(options.kl_weight), coder_(make_coder(options, shape)) {
  require_scale(scale);
}

Shape Vae::latent_shape() const {
  return coder_->latent_shape();
}

Weights Vae::initialise(Noise noise, const Tensor&) const {
  Weights weights;
  coder_->initialise(weights, noise);
  // Below the data's variance, so that z pays from the first steps; else it may stay unused for good.
  weights.add(log_noise_variance, at::full({1}, -2.0));
  return weights;
}

Trainable::Loss Vae::bind(const Weights& weights, at::ScalarType dtype) const {
  return [this, weights, dtype](const Batch& batch, Noise& noise) {
    const Bf16Products narrow(dtype == at::kBFloat16);
    const Tensor x = standardised(batch.x, scale_);
    const DiagonalGaussian q = coder_->encode(weights, x);
    const Tensor z = reparametrised(q, noise.normal_like(q.mean));
    const Tensor given_z = log_normal(x, coder_->decode(weights, z), weights[log_noise_variance], scale_);
    return (kl_weight_ * kl_from_standard(q) - given_z).sum();
  };
}

TrainedVae::TrainedVae(const VaeOptions& options, const Shape& shape, const DataScale& scale,
                       const Weights& weights, std::optional<LikelihoodKind> kind)
    : shape_(shape),
      scale_(scale),
      importance_samples_(options.importance_samples),
      coder_(make_coder(options, shape)),
      weights_(weights.to(at::kCPU, at::kFloat)) {
  if (!layers::same_arrays(weights, Vae(options, shape, scale).initialise(Noise(0), {})))
    throw Error("weights", "not those of a variational autoencoder of these options and this shape");
  const bool linear = vae_architecture(options, shape) == VaeOptions::Architecture::linear;
  kind_ = kind.value_or(linear ? LikelihoodKind::exact : LikelihoodKind::iwae);
  if (kind_ == LikelihoodKind::flow || (kind_ == LikelihoodKind::exact && !linear)) {
    throw Error("likelihood",
                fmt::format("{}: {} is meant for this model", names(kind_)[static_cast<size_t>(kind_)],
                            linear ? "exact, iwae or elbo" : "iwae or elbo"));
  }
  if (linear) {
    const Tensor factor = weights_["decoder.weight"].to(at::kDouble) * scale.std;
    const Tensor mean = in_data_units(weights_["decoder.bias"].to(at::kDouble), scale);
    marginal_ = GaussianPrior::low_rank(mean.reshape(shape), factor, at::ones({options.latent}, at::kDouble),
                                        noise_std() * noise_std());
  }
}

Shape TrainedVae::latent_shape() const {
  return coder_->latent_shape();
}

double TrainedVae::noise_std() const {
  return scale_.std * std::exp(0.5 * weights_[log_noise_variance].item<double>());
}

Tensor TrainedVae::encode(const Tensor& x, int64_t threads) const {
  require_real(x, "x");
  require_batch_of(x, shape_, "x");
  require_finite(x, "x");
  if (x.size(0) == 0) return at::empty(with_batch(0, latent_shape()));
  return map_slices(x, rows_together(shape_), threads, [&](const Tensor& rows) {
    return coder_->encode(weights_, standardised(rows, scale_).to(at::kFloat)).mean;
  });
}

Tensor TrainedVae::decode(const Tensor& z, int64_t threads) const {
  require_real(z, "z");
  require_batch_of(z, latent_shape(), "z");
  require_finite(z, "z");
  if (z.size(0) == 0) return at::empty(with_batch(0, shape_));
  return map_slices(z.to(at::kFloat), rows_together(shape_), threads,
                    [&](const Tensor& rows) { return decoded(rows); });
}

Tensor TrainedVae::decoded(const Tensor& z) const {
  return in_data_units(coder_->decode(weights_, z), scale_);
}

Tensor TrainedVae::do_sample(int64_t rows, const Tensor&, Noise& noise) const {
  const Tensor x = decoded(noise.normal(with_batch(rows, latent_shape()), at::kFloat));
  return x + noise_std() * noise.normal_like(x);
}

// log p(x | z) in float64, of x in the scale's units
Tensor TrainedVae::log_prob_given(const Tensor& x, const Tensor& z) const {
  return log_normal(x.to(at::kDouble), coder_->decode(weights_, z).to(at::kDouble),
                    weights_[log_noise_variance].to(at::kDouble), scale_);
}

Tensor TrainedVae::do_log_likelihood(const Tensor& x, Noise& noise) const {
  if (kind_ == LikelihoodKind::exact) return marginal_->log_prob(x.to(at::kDouble));
  const Tensor rows = standardised(x, scale_).to(at::kFloat);
  const DiagonalGaussian q = coder_->encode(weights_, rows);
  const Tensor log_variance = q.log_variance.to(at::kDouble);
  Tensor total;
  for (int64_t k = 0; k < importance_samples_; ++k) {
    const Tensor eps = noise.normal_like(q.mean), z = reparametrised(q, eps);
    Tensor value = log_prob_given(rows, z);
    if (kind_ == LikelihoodKind::iwae) {  // + log p(z) - log q(z | x)
      const Tensor ratio = eps.to(at::kDouble).square() - z.to(at::kDouble).square() + log_variance;
      value = value + 0.5 * ratio.flatten(1).sum(1);
      total = k == 0 ? value : at::logaddexp(total, value);
    } else {
      total = k == 0 ? value : total + value;
    }
  }
  const auto draws = static_cast<double>(importance_samples_);
  if (kind_ == LikelihoodKind::iwae) return total - std::log(draws);
  return total / draws - kl_from_standard({q.mean.to(at::kDouble), log_variance});
}

}  // namespace tweedie
