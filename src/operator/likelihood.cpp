#include "tweedie/likelihood.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

GaussianLikelihood::GaussianLikelihood(std::shared_ptr<const ForwardOperator> forward, double noise_std)
    : forward_(std::move(forward)),
      linear_(dynamic_cast<const LinearOperator*>(forward_.get())),
      noise_std_(noise_std) {
  if (!forward_) throw Error("likelihood.forward", "a null pointer, but an operator is needed");
  if (!(noise_std >= 0) || !std::isfinite(noise_std)) {
    throw Error("likelihood.noise_std", fmt::format("{}, but a finite number >= 0 is needed", noise_std));
  }
}

Tensor GaussianLikelihood::chi2(const Tensor& y, const Tensor& x) const {
  if (noise_std_ == 0) {
    throw Error("likelihood.noise_std", "0: a measurement without noise has no density; above 0 is needed");
  }
  require_real(y, "likelihood.y");
  const Shape one = forward_->codomain();
  const Tensor batch = y.sizes() == at::IntArrayRef(one) ? y.unsqueeze(0) : y;
  require_batch_of(batch, one, "likelihood.y");
  const Tensor mean = forward_->apply(x);
  if (batch.size(0) != mean.size(0) && batch.size(0) != 1) {
    throw Error("likelihood.y", fmt::format("{} rows for {} of x, but one or as many are needed",
                                            batch.size(0), mean.size(0)));
  }
  const Tensor residual = batch - mean;
  return row_dot(residual, residual) / (noise_std_ * noise_std_);
}

Tensor GaussianLikelihood::log_prob(const Tensor& y, const Tensor& x) const {
  const auto m = static_cast<double>(product(forward_->codomain()));
  return -0.5 * chi2(y, x) - m * (std::log(noise_std_) + 0.5 * std::log(2 * std::numbers::pi));
}

Tensor GaussianLikelihood::simulate(const Tensor& x, Noise& noise) const {
  const Tensor mean = forward_->apply(x);
  if (noise_std_ == 0) return mean;
  return mean + noise_std_ * noise.normal_like(mean);
}

Tensor GaussianLikelihood::residual_chi2(const Tensor& y, const Tensor& x) const {
  return chi2(y, x) / static_cast<double>(product(forward_->codomain()));
}

}  // namespace tweedie
