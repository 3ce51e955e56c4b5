// Residual MLP on flat vectors: options in tweedie/network.h.

#include "core/shape.h"
#include "network/layers.h"
#include "network/planned.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>

namespace tweedie {

namespace {

using layers::Linear;

constexpr int64_t embedding_size = 64;

// h <- h + out(silu(in(h) + embed(c_noise))), depth times
class Mlp final : public Network {
 public:
  Mlp(const MlpOptions& options, const Shape& shape, const NetworkHeads& heads)
      : shape_(shape),
        frequencies_(options.frequencies),
        labels_{"labels", heads.classes, embedding_size},
        stem_{"stem", product(shape) * (1 + 2 * options.frequencies), options.width},
        outputs_(heads.outputs),
        head_{"head", options.width, product(shape) * heads.outputs, true} {
    for (int64_t i = 0; i < options.depth; ++i) {
      const std::string name = fmt::format("layer{}", i);
      layers_.push_back({Linear{name + ".embed", embedding_size, options.width},
                         Linear{name + ".in", options.width, options.width},
                         Linear{name + ".out", options.width, options.width}});
    }
  }

  Shape shape() const override { return shape_; }
  int64_t classes() const override { return labels_.classes; }
  int64_t outputs() const override { return outputs_; }

  Weights initialise(Noise noise) const override {
    Weights weights;
    stem_.initialise(weights, noise);
    for (const Layer& layer : layers_) {
      layer.embed.initialise(weights, noise);
      layer.in.initialise(weights, noise);
      layer.out.initialise(weights, noise);
    }
    head_.initialise(weights, noise);
    labels_.initialise(weights, noise);
    return weights;
  }

  Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise,
                 const Tensor& labels) const override {
    const Tensor embedding = this->embedding(weights, c_noise, labels).to(x.scalar_type());
    Tensor h = stem_(weights, features(x));
    for (const Layer& layer : layers_) {
      h = h + layer.out(weights, at::silu(layer.in(weights, h) + layer.embed(weights, embedding)));
    }
    return head_(weights, at::silu(h)).reshape(output_shape(x));
  }

  Bound bind(const Weights& weights, at::ScalarType dtype) const override {
    return bind_planned(
        weights, dtype, [&]<class E>(E) { return planned<E>(weights); },
        [&] { return Network::bind(weights, dtype); });
  }

  double flops() const override {
    double total = stem_.flops() + head_.flops();
    for (const Layer& layer : layers_) total += layer.embed.flops() + layer.in.flops() + layer.out.flops();
    return total;
  }

 private:
  struct Layer {
    Linear embed, in, out;
  };

  // (B, d (1 + 2 K)): x, then sin(2^k x) and cos(2^k x) for k = 0 .. K - 1
  Tensor features(const Tensor& x) const {
    const Tensor flat = x.flatten(1);
    if (frequencies_ == 0) return flat;
    std::vector<Tensor> parts{flat};
    for (int64_t k = 0; k < frequencies_; ++k) {
      const Tensor phase = flat * std::exp2(k);
      parts.push_back(phase.sin());
      parts.push_back(phase.cos());
    }
    return at::cat(parts, 1);
  }

  // (1 or B, embedding_size), float32 with float32 weights
  Tensor embedding(const Weights& weights, const Tensor& c_noise, const Tensor& labels) const {
    const Tensor sinusoids = layers::sinusoidal_embedding(c_noise, embedding_size);
    return labels_.classes == 0 ? sinusoids : sinusoids + labels_(weights, labels);
  }

  // What the noise level adds to the layers is computed before the plan where that is run many times with one
  // level for all rows, and in it for training, where each row has its own.
  template <class E>
  Bound planned(const Weights& given) const {
    const bool training = std::any_of(given.tensors().begin(), given.tensors().end(),
                                      [](const Tensor& tensor) { return tensor.requires_grad(); });
    const Weights weights = given.to(at::kCPU, at::kFloat);
    const std::shared_ptr<const Plan<E>> plan = record<E>(weights, training);
    const auto embed = training ? nullptr : record_embedding(weights);
    return [=, this](const Tensor& x, const Tensor& c_noise, const Tensor& labels) {
      Tensor modulation = embedding(weights, c_noise, labels);
      if (!training) {
        const int64_t levels = modulation.size(0);
        modulation = run_plan(embed, buffers_, modulation.reshape({levels, embedding_size, 1, 1}),
                              at::empty({1, 0}, modulation.options()))
                         .flatten(1);
      }
      const Tensor rows = features(x.to(at::kFloat)).reshape({x.size(0), stem_.in, 1, 1});
      const Tensor y = run_plan(plan, buffers_, rows, modulation);
      return y.reshape(output_shape(x)).to(x.scalar_type());
    };
  }

  // Of all layers, one after another
  std::shared_ptr<const Plan<float>> record_embedding(const Weights& weights) const {
    std::vector<Tensor> weight, bias;
    for (const Layer& layer : layers_) {
      weight.push_back(weights[layer.embed.name + ".weight"]);
      bias.push_back(weights[layer.embed.name + ".bias"]);
    }
    const auto plan = std::make_shared<Plan<float>>();
    Convolution all{};
    all.out = at::cat(bias).size(0);
    all.kernel = 1;
    all.weight = plan->parameter(at::cat(weight));
    all.bias = plan->parameter(at::cat(bias));
    plan->finish(plan->convolve(plan->input({1, 1, embedding_size}), all));
    return plan;
  }

  template <class E>
  std::shared_ptr<const Plan<E>> record(const Weights& weights, bool embed) const {
    const auto plan = std::make_shared<Plan<E>>();
    const auto convolution = [&](const Linear& linear, Activation activation) {
      return Convolution{.out = linear.out,
                         .kernel = 1,
                         .weight = plan->parameter(weights[linear.name + ".weight"]),
                         .bias = plan->parameter(weights[linear.name + ".bias"]),
                         .norm = {},
                         .activation = activation,
                         .addend = {},
                         .modulation = {}};
    };
    Value h = plan->convolve(plan->input({1, 1, stem_.in}), convolution(stem_, Activation::none));
    std::optional<Value> embedding;
    if (embed) embedding = plan->modulation(embedding_size);
    for (size_t i = 0; i < layers_.size(); ++i) {
      const Layer& layer = layers_[i];
      Convolution in = convolution(layer.in, Activation::none),
                  out = convolution(layer.out, Activation::silu);
      if (embedding) {
        in.addend = plan->convolve(*embedding, convolution(layer.embed, Activation::none));
      } else {
        in.modulation = static_cast<int64_t>(i) * layer.in.out;
      }
      out.addend = h;
      h = plan->convolve(plan->convolve(h, in), out);
    }
    plan->finish(plan->convolve(h, convolution(head_, Activation::silu)));
    return plan;
  }

  Shape output_shape(const Tensor& x) const {
    Shape result = x.sizes().vec();
    result[1] *= outputs_;
    return result;
  }

  Shape shape_;
  int64_t frequencies_;
  layers::ClassEmbedding labels_;
  Linear stem_;
  std::vector<Layer> layers_;
  int64_t outputs_;
  Linear head_;
  std::shared_ptr<Buffers> buffers_ = std::make_shared<Buffers>();
};

}  // namespace

std::shared_ptr<const Network> make_network(const MlpOptions& options, const Shape& shape,
                                            const NetworkHeads& heads) {
  if (options.width < 1) throw Error("network.width", fmt::format("{}: at least 1 is needed", options.width));
  if (options.depth < 1) throw Error("network.depth", fmt::format("{}: at least 1 is needed", options.depth));
  if (options.frequencies < 0 || options.frequencies > 20)
    throw Error("network.frequencies", fmt::format("{}: 0 to 20 is meant", options.frequencies));
  return std::make_shared<Mlp>(options, shape, heads);
}

}  // namespace tweedie
