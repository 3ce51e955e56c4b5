#include "train/flow_layers.h"

#include "core/shape.h"
#include "network/mixed_precision.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie::flows {

namespace {

// Places at which all channels are mapped alike: the pixels of an image, 1 for vectors
double places(const Tensor& x) {
  return static_cast<double>(product(x.sizes().slice(1, x.dim() - 2)));
}

Tensor sum_row(const Tensor& x) {
  return x.flatten(1).sum(1);
}

}  // namespace

void ActNorm::initialise(Weights& weights, const Tensor& x) const {
  Tensor log_scale = at::zeros({channels}), bias = at::zeros({channels});
  if (x.defined()) {
    const auto [variance, mean] = at::var_mean(x.reshape({-1, channels}).to(at::kDouble), {0}, false);
    // Channels of equal numbers are stretched as the others are; 1e-12: what rounding leaves of nothing
    const Tensor common = variance.mean();
    const Tensor safe = at::where(common > 0, common, at::ones_like(common));
    const Tensor std = at::where(variance > 1e-12 * common, variance, safe).sqrt();
    log_scale = std.log().neg().to(at::kFloat);
    bias = (-mean / std).to(at::kFloat);
  }
  weights.add(name + ".log_scale", log_scale);
  weights.add(name + ".bias", bias);
}

Passage ActNorm::forward(const Weights& weights, const Passage& at) const {
  const Tensor& s = weights[name + ".log_scale"];
  return {at::addcmul(weights[name + ".bias"], at.x, s.exp()), at.log_det + places(at.x) * s.sum()};
}

Tensor ActNorm::inverse(const Weights& weights, const Tensor& y) const {
  return (y - weights[name + ".bias"]) * weights[name + ".log_scale"].neg().exp();
}

void Rotation::initialise(Weights& weights, Noise& noise) const {
  // Q = P_Q L U with pivots, so that P_Q^T Q = L U without; the sign of a column of Q is free.
  const Tensor q = std::get<0>(at::linalg_qr(noise.normal({channels, channels}, at::kDouble)));
  const auto [permutation, lower, upper] = at::linalg_lu(q);
  const Tensor signed_upper = upper * upper.diagonal().sign();
  weights.add(name + ".lower", lower.tril(-1).to(at::kFloat));
  weights.add(name + ".upper", signed_upper.triu(1).to(at::kFloat));
  weights.add(name + ".log_diagonal", signed_upper.diagonal().log().to(at::kFloat));
}

Tensor Rotation::matrix(const Weights& weights) const {
  const Tensor& s = weights[name + ".log_diagonal"];
  const Tensor lower = weights[name + ".lower"].tril(-1) + at::eye(channels, s.options());
  const Tensor upper = weights[name + ".upper"].triu(1) + s.exp().diag();
  return at::matmul(lower, upper).flip(0);
}

Passage Rotation::forward(const Weights& weights, const Passage& at) const {
  const Tensor log_det = at.log_det + places(at.x) * weights[name + ".log_diagonal"].sum();
  return {at::linear(at.x, matrix(weights)), log_det};
}

Tensor Rotation::inverse(const Weights& weights, const Tensor& y) const {
  return at::linear(y, at::linalg_inv(matrix(weights).to(at::kDouble)).to(y.scalar_type()));
}

void CouplingNet::initialise(Weights& weights, Noise& noise) const {
  for (const layers::Convolution& layer : layers) {
    layer.initialise(weights, noise);
    if (layer.zero || layers.front().kernel > 1) continue;
    const double bound = std::sqrt(6 / static_cast<double>(layer.in));
    for (const char* array : {".weight", ".bias"}) {
      const Tensor& values = weights[layer.name + array];
      values.copy_(bound * (2 * noise.uniform(values.sizes(), at::kFloat) - 1));
    }
  }
}

CouplingNet::Bound CouplingNet::bind(const Weights& weights, at::IntArrayRef places) const {
  const at::ScalarType dtype = weights.tensors().front().scalar_type();
  if (plan_numbers(weights, dtype) == PlanNumbers::float32 && !Bf16Products::on())
    return planned(weights, places);
  return [weights, layers = layers](const Tensor& x) {
    Tensor h = x;
    for (size_t i = 0; i < layers.size(); ++i) {
      if (i > 0) h = at::silu(h);
      const layers::Convolution& layer = layers[i];
      h = layer.kernel == 1
              ? layers::linear(h, weights[layer.name + ".weight"].flatten(1), weights[layer.name + ".bias"])
              : layer(weights, h.movedim(-1, 1)).movedim(1, -1);
    }
    return h;
  };
}

CouplingNet::Bound CouplingNet::planned(const Weights& weights, at::IntArrayRef places) const {
  const ImageSize size =
      places.empty() ? ImageSize{1, 1, layers[0].in} : ImageSize{places[0], places[1], layers[0].in};
  const auto plan = std::make_shared<Plan<float>>();
  Value h = plan->input(size);
  for (size_t i = 0; i < layers.size(); ++i) {
    const layers::Convolution& layer = layers[i];
    h = plan->convolve(h, {.out = layer.out,
                           .kernel = layer.kernel,
                           .weight = plan->parameter(weights[layer.name + ".weight"]),
                           .bias = plan->parameter(weights[layer.name + ".bias"]),
                           .norm = {},
                           .activation = i > 0 ? Activation::silu : Activation::none,
                           .addend = {},
                           .modulation = {}});
  }
  plan->finish(h);
  return [size, buffers = buffers, plan = std::shared_ptr<const Plan<float>>(plan)](const Tensor& x) {
    const Tensor images = x.movedim(-1, 1).reshape({x.size(0), size.channels, size.height, size.width});
    const Tensor y = run_plan(plan, buffers, images, at::empty({1, 0}));
    return x.dim() == 2 ? y.flatten(1) : y.movedim(1, -1);
  };
}

Coupling::Coupling(const std::string& name, int64_t channels, bool changes_first, double bound,
                   const std::vector<Layer>& hidden, int64_t last_kernel)
    : channels(channels), changes_first(changes_first), bound(bound) {
  int64_t in = sizes()[changes_first ? 1 : 0];
  const int64_t changed = channels - in;
  for (const Layer& layer : hidden) {
    net.layers.push_back({fmt::format("{}.layer{}", name, net.layers.size()), in, layer.out, layer.kernel});
    in = layer.out;
  }
  net.layers.push_back({name + ".out", in, 2 * changed, last_kernel, true});
}

BoundCoupling::Affine BoundCoupling::affine(const Tensor& a) const {
  const auto raw = net_(a).chunk(2, -1);
  return {coupling_.bound * raw[0].tanh(), raw[1]};
}

Passage BoundCoupling::forward(const Passage& at) const {
  auto halves = at.x.split_with_sizes(coupling_.sizes(), -1);
  const size_t changed = coupling_.changes_first ? 0 : 1;
  const auto [log_scale, shift] = affine(halves[1 - changed]);
  halves[changed] = at::addcmul(shift, halves[changed], log_scale.exp());
  return {at::cat(halves, -1), at.log_det + sum_row(log_scale)};
}

Tensor BoundCoupling::inverse(const Tensor& y) const {
  auto halves = y.split_with_sizes(coupling_.sizes(), -1);
  const size_t changed = coupling_.changes_first ? 0 : 1;
  const auto [log_scale, shift] = affine(halves[1 - changed]);
  halves[changed] = (halves[changed] - shift) * log_scale.neg().exp();
  return at::cat(halves, -1);
}

}  // namespace tweedie::flows
