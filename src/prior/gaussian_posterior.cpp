#include "prior/gaussian_posterior.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

GaussianPosterior::GaussianPosterior(GaussianPrior prior, const Tensor& matrix, double noise_std)
    : prior_(std::move(prior)), noise_std_(noise_std) {
  require_real(matrix, "operator.matrix");
  require_finite(matrix, "operator.matrix");
  if (matrix.dim() != 2 || matrix.size(1) != prior_.dimension()) {
    throw Error("operator.matrix", fmt::format("shape {}, but (m, {}) is needed", to_string(matrix.sizes()),
                                               prior_.dimension()));
  }
  if (!(noise_std >= 0 && std::isfinite(noise_std))) {
    throw Error("measurement.noise.std",
                fmt::format("{}, but a finite value of at least 0 is needed", noise_std));
  }
  matrix_ = matrix.detach().to(at::kCPU, at::kDouble);
  const Tensor cross = prior_.covariance_times(matrix_);  // A Sigma
  Tensor s = at::matmul(cross, matrix_.t());
  s.diagonal().add_(noise_std * noise_std);
  const auto [factor, info] = at::linalg_cholesky_ex(s);
  if (info.item<int64_t>() != 0) {
    throw Error("measurement.noise.std",
                fmt::format("{}: the covariance of y is singular, a larger value is needed", noise_std));
  }
  cholesky_ = factor;
  half_gain_ = at::linalg_solve_triangular(cholesky_, cross, /*upper=*/false);
  gain_ = at::linalg_solve_triangular(cholesky_.t(), half_gain_, /*upper=*/true);
}

Tensor GaussianPosterior::residual(const Tensor& y) const {
  require_real(y, "y");
  require_batch_of(y, {matrix_.size(0)}, "y");
  return y.to(at::kCPU, at::kDouble) - at::matmul(matrix_, prior_.flat_mean());
}

Tensor GaussianPosterior::mean(const Tensor& y) const {
  return (prior_.flat_mean() + at::matmul(residual(y), gain_)).reshape(with_batch(y.size(0), prior_.shape()));
}

Tensor GaussianPosterior::log_evidence(const Tensor& y) const {
  const Tensor white = at::linalg_solve_triangular(cholesky_, residual(y).t(), /*upper=*/false);
  const double log_det = 2 * cholesky_.diagonal().log().sum().item<double>();
  return -0.5 * ((white * white).sum(0) + log_det + matrix_.size(0) * std::log(2 * std::numbers::pi));
}

Tensor GaussianPosterior::covariance() const {
  return prior_.covariance() - at::matmul(half_gain_.t(), half_gain_);
}

Tensor GaussianPosterior::variance() const {
  return covariance().diagonal().clamp_min(0).reshape(prior_.shape());
}

Tensor GaussianPosterior::sample(const Tensor& y, int64_t draws, Noise& noise) const {
  const Tensor x = prior_.sample(draws, noise).flatten(1) - prior_.flat_mean();
  const Tensor n = noise.normal({draws, matrix_.size(0)}, at::kDouble);
  const Tensor innovation = residual(y.reshape({1, -1})) - at::matmul(x, matrix_.t()) - noise_std_ * n;
  return (prior_.flat_mean() + x + at::matmul(innovation, gain_)).reshape(with_batch(draws, prior_.shape()));
}

std::shared_ptr<const AnalyticPrior> GaussianPosterior::given(const Tensor& y) const {
  std::call_once(spectrum_->once, [&] {
    const Tensor c = covariance();
    std::tie(spectrum_->value, spectrum_->basis) = at::linalg_eigh((c + c.t()) / 2);
    spectrum_->value = spectrum_->value.clamp_min(0);  // what y determines has none but rounding
  });
  const Tensor m = mean(y.reshape({1, -1})).flatten();
  return std::make_shared<GaussianPrior>(
      GaussianPrior(prior_.shape(), {m, spectrum_->basis, spectrum_->value}, 0));
}

std::unique_ptr<const ExactPosterior> GaussianPrior::condition(const Tensor& matrix, double noise_std) const {
  return std::make_unique<GaussianPosterior>(*this, matrix, noise_std);
}

}  // namespace tweedie
