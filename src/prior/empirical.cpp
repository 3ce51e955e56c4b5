#include "tweedie/empirical_prior.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

EmpiricalPrior::EmpiricalPrior(Tensor data, Tensor weights) {
  require_real(data, "prior.data");
  require_finite(data, "prior.data");
  if (data.dim() < 2 || data.numel() == 0) {
    throw Error("prior.data",
                fmt::format("shape {}, but (N, *shape) with N >= 1 is needed", to_string(data.sizes())));
  }
  data_ = data.detach().to(at::kCPU, at::kDouble).contiguous();
  half_square_ = 0.5 * data_.flatten(1).square().sum(1);
  const int64_t count = data_.size(0);
  if (!weights.defined()) {
    log_weight_ = at::full({count}, -std::log(static_cast<double>(count)), at::kDouble);
    return;
  }
  require_real(weights, "prior.weights");
  require_finite(weights, "prior.weights");
  const Tensor w = weights.detach().to(at::kCPU, at::kDouble);
  if (w.dim() != 1 || w.size(0) != count) {
    throw Error("prior.weights", fmt::format("shape {}, but one for each of {} samples is needed",
                                             to_string(w.sizes()), count));
  }
  const double sum = w.sum().item<double>();
  if (w.min().item<double>() < 0 || std::abs(sum - 1) > 1e-6)
    throw Error("prior.weights",
                fmt::format("least {:.6g}, sum {:.9g}, but none below 0 and a sum of 1 is meant",
                            w.min().item<double>(), sum));
  log_weight_ = (w / sum).log();
}

Shape EmpiricalPrior::shape() const {
  return data_.sizes().slice(1).vec();
}

// log w_i - |x - x_i|^2 / (2 sigma^2), without the part that does not depend on i
Tensor EmpiricalPrior::log_responsibilities(const Tensor& x, const Tensor& sigma) const {
  const Tensor flat = x.flatten(1).to(at::kCPU, at::kDouble);
  const Tensor variance = sigma.to(at::kCPU, at::kDouble).square().reshape({-1, 1});
  return log_weight_ + (at::matmul(flat, data_.flatten(1).t()) - half_square_) / variance;
}

Tensor EmpiricalPrior::do_mean(const Tensor& x, const Tensor& sigma) const {
  const Tensor r = at::softmax(log_responsibilities(x, sigma), 1);
  return at::matmul(r, data_.flatten(1)).to(x.options()).reshape(x.sizes());
}

Linearised EmpiricalPrior::do_linearise(const Tensor& x, const Tensor& sigma) const {
  const Tensor r = at::softmax(log_responsibilities(x, sigma), 1);
  const Tensor mean = at::matmul(r, data_.flatten(1));
  const Tensor variance = sigma.to(at::kCPU, at::kDouble).square().reshape({-1, 1});
  // V v = sum_i r_i <x_i - D, v> x_i, as sum_i r_i (x_i - D) = 0
  return {mean.to(x.options()).reshape(x.sizes()),
          [r, mean, variance, data = data_.flatten(1), options = x.options()](const Tensor& v) {
            const Tensor w = v.flatten(1).to(at::kCPU, at::kDouble);
            const Tensor along = at::matmul(w, data.t()) - (mean * w).sum(1, true);
            return (at::matmul(r * along, data) / variance).to(options).reshape(v.sizes());
          }};
}

Tensor EmpiricalPrior::log_prob(const Tensor& x, double sigma) const {
  require_real(x, "x");
  require_batch_of(x, shape(), "x");
  if (!(sigma > 0)) throw Error("prior", "a finite data set has no density; sigma > 0 gives it one");
  const double variance = sigma * sigma, d = static_cast<double>(dimension());
  const Tensor square = x.flatten(1).to(at::kCPU, at::kDouble).square().sum(1);
  return at::logsumexp(log_responsibilities(x, at::full({1}, sigma, at::kDouble)), 1) -
         square / (2 * variance) - 0.5 * d * std::log(2 * std::numbers::pi * variance);
}

Tensor EmpiricalPrior::sample(int64_t draws, Noise& noise, at::ScalarType dtype) const {
  const Tensor cumulative = log_weight_.exp().cumsum(0);
  const Tensor chosen =
      at::searchsorted(cumulative, noise.uniform({draws}, at::kDouble)).clamp_max(data_.size(0) - 1);
  return data_.index_select(0, chosen).to(dtype);
}

namespace {

// The same samples under other weights, w_i proportional to N(y; A x_i, noise_std^2 I).
class EmpiricalPosterior final : public ExactPosterior {
 public:
  EmpiricalPosterior(Tensor data, Tensor log_weight, const Tensor& matrix, double noise_std)
      : data_(std::move(data)), log_weight_(std::move(log_weight)), noise_std_(noise_std) {
    measured_ = at::matmul(data_.flatten(1), matrix.to(at::kCPU, at::kDouble).t());
  }

  Tensor mean(const Tensor& y) const override {
    Shape shape = data_.sizes().vec();
    shape[0] = y.size(0);
    return at::matmul(at::softmax(log_joint(y), 1), data_.flatten(1)).reshape(shape);
  }
  Tensor log_evidence(const Tensor& y) const override { return at::logsumexp(log_joint(y), 1); }
  Tensor sample(const Tensor& y, int64_t draws, Noise& noise) const override {
    return given(y)->sample(draws, noise);
  }
  std::shared_ptr<const AnalyticPrior> given(const Tensor& y) const override {
    return std::make_shared<EmpiricalPrior>(data_, at::softmax(log_joint(y.reshape({1, -1})), 1)[0]);
  }

 private:
  // log(w_i p(y | x_i)), (C, N)
  Tensor log_joint(const Tensor& y) const {
    require_real(y, "y");
    require_batch_of(y, {measured_.size(1)}, "y");
    const Tensor rows = y.to(at::kCPU, at::kDouble);
    Tensor result = at::empty({y.size(0), data_.size(0)}, at::kDouble);
    for (int64_t i = 0; i < y.size(0); ++i) result[i] = (measured_ - rows[i]).square().sum(1);
    const double variance = noise_std_ * noise_std_, m = static_cast<double>(measured_.size(1));
    return log_weight_ - result / (2 * variance) - 0.5 * m * std::log(2 * std::numbers::pi * variance);
  }

  Tensor data_, log_weight_, measured_;  // measured: A x_i, (N, m)
  double noise_std_;
};

}  // namespace

std::unique_ptr<const ExactPosterior> EmpiricalPrior::condition(const Tensor& matrix,
                                                                double noise_std) const {
  require_real(matrix, "operator.matrix");
  if (matrix.dim() != 2 || matrix.size(1) != dimension()) {
    throw Error("operator.matrix",
                fmt::format("shape {}, but (m, {}) is needed", to_string(matrix.sizes()), dimension()));
  }
  if (!(noise_std > 0 && std::isfinite(noise_std)))
    throw Error("measurement.noise.std", fmt::format("{}, but a finite value above 0 is needed", noise_std));
  return std::make_unique<EmpiricalPosterior>(data_, log_weight_, matrix, noise_std);
}

}  // namespace tweedie
