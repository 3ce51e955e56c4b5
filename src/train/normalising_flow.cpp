// Normalising flows as a family of models: the change of variables
//   log p(x) = -|z|^2 / 2 - (d / 2) ln 2 pi + log |det dz/dx|,  z = f(x),
// and, for data in grey levels of width g, noise u ~ U(-1/2, 1/2)^d (Uria et al. 2013; Theis et al.
// 2016, 3.1):
//   E_u log p(x + g u) <= log E_u p(x + g u) = log P(x) - d ln g,  P(x) the mass of x's cell.

#include "tweedie/normalising_flow.h"

#include "core/shape.h"
#include "network/mixed_precision.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

Tensor dequantised(const Tensor& x, std::optional<double> grey, Noise& noise) {
  if (!grey) return x;
  return x + *grey * (noise.uniform(x.sizes(), at::kFloat).to(x.options()) - 0.5);
}

std::optional<double> grey_of(const FlowOptions& options) {
  return std::visit([](const auto& o) { return o.dequantise; }, options);
}

}  // namespace

Bijection::Encoded Bijection::forward(const Tensor& x) const {
  require_real(x, "x");
  require_batch_of(x, shape_, "x");
  return do_forward(x);
}

Tensor Bijection::inverse(const Tensor& z) const {
  require_real(z, "z");
  require_batch_of(z, Shape{product(shape_)}, "z");
  return do_inverse(z).reshape(with_batch(z.size(0), shape_));
}

Tensor Bijection::log_density(const Tensor& x) const {
  const auto [z, log_det] = forward(x);
  const double constant = 0.5 * static_cast<double>(z.size(1)) * std::log(2 * std::numbers::pi);
  return log_det - (0.5 * z.square().sum(1) + constant);
}

std::shared_ptr<const NormalisingFlow> make_flow(const FlowOptions& options, const Shape& shape) {
  return std::visit([&](const auto& o) { return make_flow(o, shape); }, options);
}

FlowModel::FlowModel(const FlowOptions& options, const Shape& shape)
    : flow_(make_flow(options, shape)), dequantise_(grey_of(options)) {}

Weights FlowModel::initialise(Noise noise, const Tensor& rows) const {
  if (!rows.defined()) return flow_->initialise(std::move(noise), rows);
  require_batch_of(rows, shape(), "rows");
  Noise grey = noise.stream(Stream::initial);
  return flow_->initialise(std::move(noise), dequantised(rows, dequantise_, grey));
}

Trainable::Loss FlowModel::bind(const Weights& weights, at::ScalarType dtype) const {
  const bool bf16 = dtype == at::kBFloat16;
  const Bf16Products narrow(bf16);  // a plan or none is chosen here
  return [grey = dequantise_, bijection = std::shared_ptr<const Bijection>(flow_->bind(weights)), bf16,
          own = weights.tensors().front().scalar_type()](const Batch& batch, Noise& noise) {
    const Bf16Products products(bf16);
    return -bijection->log_density(dequantised(batch.x.to(own), grey, noise)).sum();
  };
}

FlowDistribution::FlowDistribution(const FlowOptions& options, const Shape& shape, const Weights& weights)
    : flow_(make_flow(options, shape)), dequantise_(grey_of(options)) {
  const Weights expected = flow_->initialise(Noise(0), {});
  for (size_t i = 0; i < expected.size(); ++i) {
    const std::string& name = expected.names()[i];
    if (const Tensor& own = weights[name]; own.sizes() != expected.tensors()[i].sizes()) {
      throw Error("weights", fmt::format("'{}' of shape {}, but {} is needed", name, to_string(own.sizes()),
                                         to_string(expected.tensors()[i].sizes())));
    }
  }
  numbers_ = weights.tensors().front().options();
  bijection_ = flow_->bind(weights);
}

Tensor FlowDistribution::do_sample(int64_t rows, const Tensor&, Noise& noise) const {
  const Tensor z = noise.normal({rows, product(shape())}, at::kFloat).to(numbers_);
  return bijection_->inverse(z).to(at::kFloat);
}

Tensor FlowDistribution::do_log_likelihood(const Tensor& x, Noise& noise) const {
  const Tensor nats = bijection_->log_density(dequantised(x.to(numbers_), dequantise_, noise));
  // So far out that z overflows, the density is 0.
  return nats.nan_to_num(-INFINITY, INFINITY, -INFINITY).to(at::kDouble);
}

double bits_per_dimension(double nats, int64_t dimension, double grey) {
  return -(nats / static_cast<double>(dimension) + std::log(grey)) / std::numbers::ln2;
}

}  // namespace tweedie
