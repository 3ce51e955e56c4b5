#include "network/layers.h"

#include "kernel/sinusoids.h"
#include "network/mixed_precision.h"
#include "network/norm_silu.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie::layers {

namespace {

// U(-1/sqrt(fan_in), 1/sqrt(fan_in)) for the weight, zero for the bias
void initialise_dense(Weights& weights, const std::string& name, const Shape& shape, int64_t fan_in,
                      bool zero, Noise& noise) {
  const double bound = 1 / std::sqrt(static_cast<double>(fan_in));
  Tensor weight = noise.uniform(shape, at::kFloat).mul_(2 * bound).sub_(bound);
  if (zero) weight.zero_();
  weights.add(name + ".weight", weight);
  weights.add(name + ".bias", at::zeros({shape[0]}));
}

// product(x, weight, bias), in bfloat16 where that is asked for
template <class Product>
Tensor multiplied(const Tensor& x, const Tensor& weight, const Tensor& bias, const Product& product) {
  if (!Bf16Products::on() || x.scalar_type() != at::kFloat) return product(x, weight, bias);
  const auto narrow = [](const Tensor& tensor) { return tensor.to(at::kBFloat16); };
  return product(narrow(x), narrow(weight), narrow(bias)).to(at::kFloat);
}

}  // namespace

Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias) {
  return multiplied(x, weight, bias, [](const Tensor& rows, const Tensor& narrow, const Tensor& shift) {
    return at::linear(rows, narrow, shift);
  });
}

void Linear::initialise(Weights& weights, Noise& noise) const {
  initialise_dense(weights, name, {out, in}, in, zero, noise);
}

Tensor Linear::operator()(const Weights& weights, const Tensor& x) const {
  return linear(x, weights[name + ".weight"], weights[name + ".bias"]);
}

void Convolution::initialise(Weights& weights, Noise& noise) const {
  initialise_dense(weights, name, {out, in, kernel, kernel}, in * kernel * kernel, zero, noise);
}

Tensor Convolution::operator()(const Weights& weights, const Tensor& x) const {
  return multiplied(x, weights[name + ".weight"], weights[name + ".bias"],
                    [&](const Tensor& images, const Tensor& weight, const Tensor& bias) {
                      return at::conv2d(images, weight, bias, 1, kernel / 2);
                    });
}

void GroupNorm::initialise(Weights& weights) const {
  weights.add(name + ".weight", at::ones({channels}));
  weights.add(name + ".bias", at::zeros({channels}));
}

int64_t GroupNorm::groups() const {
  int64_t groups = std::max<int64_t>(1, std::min<int64_t>(32, channels / 4));
  while (channels % groups != 0) --groups;
  return groups;
}

Tensor GroupNorm::operator()(const Weights& weights, const Tensor& x) const {
  return at::group_norm(x, groups(), weights[name + ".weight"], weights[name + ".bias"], 1e-5);
}

Tensor GroupNorm::silu(const Weights& weights, const Tensor& x) const {
  return norm_silu(x, weights[name + ".weight"].unsqueeze(0), weights[name + ".bias"].unsqueeze(0), groups());
}

Tensor GroupNorm::silu(const Weights& weights, const Tensor& x, const Tensor& scale,
                       const Tensor& shift) const {
  const Tensor gain = scale + 1;
  return norm_silu(x, weights[name + ".weight"] * gain, at::addcmul(shift, weights[name + ".bias"], gain),
                   groups());
}

void ClassEmbedding::initialise(Weights& weights, Noise& noise) const {
  if (classes == 0) return;
  Tensor table = noise.normal({classes + 1, size}, at::kFloat).mul_(std::sqrt(0.5));
  table.select(0, classes).zero_();
  weights.add(name + ".weight", table);
}

Tensor ClassEmbedding::operator()(const Weights& weights, const Tensor& labels) const {
  const Tensor& table = weights[name + ".weight"];
  return labels.defined() ? table.index_select(0, labels) : table.slice(0, classes, classes + 1);
}

Tensor sinusoidal_embedding(const Tensor& c_noise, int64_t size) {
  const int64_t half = size / 2;
  const Tensor frequencies = at::logspace(0, 3, half, 10, c_noise.options().dtype(at::kFloat));
  if (c_noise.device().is_cpu() && !c_noise.requires_grad()) {
    const Tensor x = c_noise.to(at::kFloat).contiguous();
    Tensor result = at::empty({x.numel(), 2 * half}, at::kFloat);
    sinusoids(x.data_ptr<float>(), x.numel(), frequencies.data_ptr<float>(), half, result.data_ptr<float>());
    return result;
  }
  const Tensor phase = c_noise.to(at::kFloat).unsqueeze(-1) * frequencies;
  return at::cat({phase.cos(), phase.sin()}, -1);
}

bool same_arrays(const Weights& a, const Weights& b) {
  if (a.names() != b.names()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (a.tensors()[i].sizes() != b.tensors()[i].sizes()) return false;
  }
  return true;
}

}  // namespace tweedie::layers
