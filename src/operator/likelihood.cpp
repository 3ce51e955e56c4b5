#include "tweedie/likelihood.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

Likelihood::Likelihood(std::shared_ptr<const ForwardOperator> forward, NoiseModelPtr noise)
    : forward_(std::move(forward)),
      linear_(dynamic_cast<const LinearOperator*>(forward_.get())),
      noise_(std::move(noise)) {
  if (!forward_) throw Error("likelihood.forward", "a null pointer, but an operator is needed");
  if (!noise_) throw Error("likelihood.noise", "a null pointer, but a noise model is needed");
}

double Likelihood::noise_std() const {
  if (const auto std = noise_->noise_std()) return *std;
  throw Error("method.kind",
              fmt::format("this method takes gaussian noise only, but that of y is {}", noise_->kind()));
}

Tensor Likelihood::rows_of(const Tensor& y, const Tensor& x) const {
  require_real(y, "likelihood.y");
  const Shape one = forward_->codomain();
  const Tensor batch = y.sizes() == at::IntArrayRef(one) ? y.unsqueeze(0) : y;
  require_batch_of(batch, one, "likelihood.y");
  if (batch.size(0) != x.size(0) && batch.size(0) != 1) {
    throw Error("likelihood.y",
                fmt::format("{} rows for {} of x, but one or as many are needed", batch.size(0), x.size(0)));
  }
  return batch;
}

Tensor Likelihood::log_prob(const Tensor& y, const Tensor& x) const {
  const Tensor z = forward_->apply(x);
  return noise_->log_prob(rows_of(y, x), z);
}

Tensor Likelihood::simulate(const Tensor& x, Noise& noise) const {
  return noise_->simulate(forward_->apply(x), noise);
}

Tensor Likelihood::residual_chi2(const Tensor& y, const Tensor& x, Noise noise) const {
  const Tensor z = forward_->apply(x), r = noise_->residuals(rows_of(y, x), z, noise);
  return row_dot(r, r) / static_cast<double>(product(forward_->codomain()));
}

}  // namespace tweedie
