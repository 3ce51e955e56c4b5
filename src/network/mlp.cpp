// Residual MLP on flat vectors: options in tweedie/network.h.

#include "core/shape.h"
#include "network/layers.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

using layers::Linear;

constexpr int64_t embedding_size = 64;

// h <- h + out(silu(in(h) + embed(c_noise))), depth times
class Mlp final : public Network {
 public:
  Mlp(const MlpOptions& options, const Shape& shape)
      : shape_(shape),
        stem_{"stem", product(shape), options.width},
        head_{"head", options.width, product(shape), true} {
    for (int64_t i = 0; i < options.depth; ++i) {
      const std::string name = fmt::format("layer{}", i);
      layers_.push_back({Linear{name + ".embed", embedding_size, options.width},
                         Linear{name + ".in", options.width, options.width},
                         Linear{name + ".out", options.width, options.width}});
    }
  }

  Shape shape() const override { return shape_; }

  Weights initialise(Noise noise) const override {
    Weights weights;
    stem_.initialise(weights, noise);
    for (const Layer& layer : layers_) {
      layer.embed.initialise(weights, noise);
      layer.in.initialise(weights, noise);
      layer.out.initialise(weights, noise);
    }
    head_.initialise(weights, noise);
    return weights;
  }

  Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise) const override {
    const Tensor embedding = layers::sinusoidal_embedding(c_noise, embedding_size).to(x.scalar_type());
    Tensor h = stem_(weights, x.flatten(1));
    for (const Layer& layer : layers_) {
      h = h + layer.out(weights, at::silu(layer.in(weights, h) + layer.embed(weights, embedding)));
    }
    return head_(weights, at::silu(h)).reshape(x.sizes());
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
  Shape shape_;
  Linear stem_;
  std::vector<Layer> layers_;
  Linear head_;
};

}  // namespace

std::shared_ptr<const Network> make_network(const MlpOptions& options, const Shape& shape) {
  if (options.width < 1) throw Error("network.width", fmt::format("{}: at least 1 is needed", options.width));
  if (options.depth < 1) throw Error("network.depth", fmt::format("{}: at least 1 is needed", options.depth));
  return std::make_shared<Mlp>(options, shape);
}

}  // namespace tweedie
