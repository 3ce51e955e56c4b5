#pragma once
// A network is written once, for an engine that gives its layers a meaning: tensors now, or a plan for
// later. Both have
//   Image, norm(GroupNorm, Image), silu(GroupNorm, Image), silu(GroupNorm, Image, Linear of the modulation),
//   convolve(Convolution, any of these [, Image to add]), attend(Image of q, k, v), halve(Image),
//   enlarge(Image, Image of the size), concatenate(Image, Image)

#include "network/layers.h"
#include "network/planned.h"

#include <ATen/ATen.h>

#include <cmath>
#include <optional>

namespace tweedie {

struct TensorEngine {
  using Image = Tensor;
  const Weights& weights;
  Tensor embedding;

  Tensor norm(const layers::GroupNorm& norm, const Tensor& x) const { return norm(weights, x); }
  Tensor silu(const layers::GroupNorm& norm, const Tensor& x) const { return norm.silu(weights, x); }
  Tensor silu(const layers::GroupNorm& norm, const Tensor& x, const layers::Linear& modulation) const {
    const auto scale_shift = modulation(weights, embedding).chunk(2, 1);
    return norm.silu(weights, x, scale_shift[0], scale_shift[1]);
  }
  Tensor convolve(const layers::Convolution& convolution, const Tensor& x) const {
    return convolution(weights, x);
  }
  Tensor convolve(const layers::Convolution& convolution, const Tensor& x, const Tensor& addend) const {
    return addend + convolution(weights, x);
  }
  Tensor attend(const Tensor& qkv) const {
    const auto parts = qkv.flatten(2).transpose(1, 2).chunk(3, 2);  // (B, pixels, C)
    const double channels = static_cast<double>(parts[0].size(2));
    const Tensor similarity = parts[0].matmul(parts[1].transpose(1, 2)) / std::sqrt(channels);
    const Tensor mixed = similarity.softmax(-1).matmul(parts[2]);
    return mixed.transpose(1, 2).reshape({qkv.size(0), -1, qkv.size(2), qkv.size(3)});
  }
  Tensor halve(const Tensor& x) const { return at::avg_pool2d(x, 2); }
  Tensor enlarge(const Tensor& x, const Tensor& like) const {
    return at::upsample_nearest2d(x, {like.size(2), like.size(3)});
  }
  Tensor concatenate(const Tensor& a, const Tensor& b) const { return at::cat({a, b}, 1); }
};

template <class E>
struct PlanEngine {
  using Image = Value;
  const Weights& weights;
  Plan<E>& plan;
  std::vector<layers::Linear> modulations;  // what a row of the modulation is made of, in this order
  int64_t modulation_width = 0;

  // What a convolution does to its input first
  struct Prepared {
    Value x;
    Normalisation norm;
    Activation activation;
  };
  Parameter parameter(const std::string& name) { return plan.parameter(weights[name]); }
  Prepared prepared(const layers::GroupNorm& norm, const Value& x, Activation activation) {
    return {
        x, {norm.groups(), parameter(norm.name + ".weight"), parameter(norm.name + ".bias"), {}}, activation};
  }
  Prepared norm(const layers::GroupNorm& norm, const Value& x) { return prepared(norm, x, Activation::none); }
  Prepared silu(const layers::GroupNorm& norm, const Value& x) { return prepared(norm, x, Activation::silu); }
  Prepared silu(const layers::GroupNorm& norm, const Value& x, const layers::Linear& modulation) {
    Prepared result = prepared(norm, x, Activation::silu);
    result.norm.modulation = modulation_width;
    modulations.push_back(modulation);
    modulation_width += modulation.out;
    return result;
  }
  Convolution operation(const layers::Convolution& convolution) {
    return {.out = convolution.out,
            .kernel = convolution.kernel,
            .weight = parameter(convolution.name + ".weight"),
            .bias = parameter(convolution.name + ".bias"),
            .norm = {},
            .activation = Activation::none,
            .addend = {},
            .modulation = {}};
  }
  Value convolve(const layers::Convolution& convolution, const Value& x, std::optional<Value> addend = {}) {
    Convolution result = operation(convolution);
    result.addend = addend;
    return plan.convolve(x, result);
  }
  Value convolve(const layers::Convolution& convolution, const Prepared& prepared,
                 std::optional<Value> addend = {}) {
    Convolution result = operation(convolution);
    result.norm = prepared.norm;
    result.activation = prepared.activation;
    result.addend = addend;
    return plan.convolve(prepared.x, result);
  }
  Value attend(const Value& qkv) { return plan.attend(qkv); }
  Value halve(const Value& x) { return plan.halve(x); }
  Value enlarge(const Value& x, const Value& like) {
    return plan.enlarge(x, like.size.height, like.size.width);
  }
  Value concatenate(const Value& a, const Value& b) { return plan.concatenate(a, b); }
};

}  // namespace tweedie
