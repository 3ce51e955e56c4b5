#include "train/vae_coder.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

using Architecture = VaeOptions::Architecture;
using layers::Convolution;
using layers::GroupNorm;
using layers::Linear;

// Mean and log variance from twice as many numbers; variances so far from 1 are held, for exp's sake.
DiagonalGaussian halves(const Tensor& h) {
  const auto parts = h.chunk(2, 1);
  return {parts[0], parts[1].clamp(-30, 20)};
}

// mean = A x + b, variances that are the same for all x; decoder W z + m
class LinearCoder final : public VaeCoder {
 public:
  LinearCoder(const VaeOptions& options, const Shape& shape)
      : shape_(shape),
        encoder_{"encoder", product(shape), options.latent},
        decoder_{"decoder", options.latent, product(shape)} {}

  Shape latent_shape() const override { return {encoder_.out}; }
  void initialise(Weights& weights, Noise& noise) const override {
    encoder_.initialise(weights, noise);
    weights.add("encoder.log_variance", at::zeros({encoder_.out}));
    decoder_.initialise(weights, noise);
  }
  DiagonalGaussian encode(const Weights& weights, const Tensor& x) const override {
    const Tensor mean = encoder_(weights, x.flatten(1));
    return {mean, weights["encoder.log_variance"].expand(mean.sizes())};
  }
  Tensor decode(const Weights& weights, const Tensor& z) const override {
    return decoder_(weights, z).reshape(with_batch(z.size(0), shape_));
  }

 private:
  Shape shape_;
  Linear encoder_, decoder_;
};

// Linear layers with SiLU between them
struct Chain {
  std::vector<Linear> layers;

  Chain(const std::string& name, int64_t in, const VaeOptions& options, int64_t out) {
    for (int64_t i = 0; i <= options.depth; ++i) {
      layers.push_back({fmt::format("{}.{}", name, i), i == 0 ? in : options.width,
                        i == options.depth ? out : options.width});
    }
  }
  void initialise(Weights& weights, Noise& noise) const {
    for (const Linear& layer : layers) layer.initialise(weights, noise);
  }
  Tensor operator()(const Weights& weights, Tensor x) const {
    for (size_t i = 0; i < layers.size(); ++i) x = layers[i](weights, i == 0 ? x : at::silu(x));
    return x;
  }
};

class MlpCoder final : public VaeCoder {
 public:
  MlpCoder(const VaeOptions& options, const Shape& shape)
      : shape_(shape),
        latent_(options.latent),
        encoder_("encoder", product(shape), options, 2 * options.latent),
        decoder_("decoder", options.latent, options, product(shape)) {}

  Shape latent_shape() const override { return {latent_}; }
  void initialise(Weights& weights, Noise& noise) const override {
    encoder_.initialise(weights, noise);
    decoder_.initialise(weights, noise);
  }
  DiagonalGaussian encode(const Weights& weights, const Tensor& x) const override {
    return halves(encoder_(weights, x.flatten(1)));
  }
  Tensor decode(const Weights& weights, const Tensor& z) const override {
    return decoder_(weights, z).reshape(with_batch(z.size(0), shape_));
  }

 private:
  Shape shape_;
  int64_t latent_;
  Chain encoder_, decoder_;
};

// conv(silu(norm(x))), added to x where it has as many channels
struct Layer {
  GroupNorm norm;
  Convolution convolution;

  Layer(const std::string& name, int64_t in, int64_t out)
      : norm{name + ".norm", in}, convolution{name + ".conv", in, out} {}
  void initialise(Weights& weights, Noise& noise) const {
    norm.initialise(weights);
    convolution.initialise(weights, noise);
  }
  Tensor operator()(const Weights& weights, const Tensor& x) const {
    const Tensor h = convolution(weights, norm.silu(weights, x));
    return convolution.in == convolution.out ? x + h : h;
  }
};

// Down: at each resolution a layer, a 2 x 2 average, a layer to twice the channels; up the other way round.
// Between the coarsest map and a vector z there is one linear layer, between it and a map z a convolution.
class ConvolutionalCoder final : public VaeCoder {
 public:
  ConvolutionalCoder(const VaeOptions& options, const Shape& shape, bool feature_map)
      : latent_(options.latent),
        feature_map_(feature_map),
        coarse_{options.channels << options.halvings, shape[1] >> options.halvings,
                shape[2] >> options.halvings},
        stem_{"encoder.stem", shape[0], options.channels},
        encoder_norm_{"encoder.norm", coarse_[0]},
        to_map_{"encoder.head", coarse_[0], 2 * latent_, 1},
        from_map_{"decoder.stem", latent_, coarse_[0]},
        to_vector_{"encoder.head", product(coarse_), 2 * latent_},
        from_vector_{"decoder.stem", latent_, product(coarse_)},
        decoder_norm_{"decoder.norm", options.channels},
        head_{"decoder.head", options.channels, shape[0]} {
    for (int64_t i = 0; i < options.halvings; ++i) {
      const int64_t fine = options.channels << i, coarse = coarse_[0] >> i;
      down_.emplace_back(fmt::format("encoder.{}.same", i), fine, fine);
      down_.emplace_back(fmt::format("encoder.{}.wider", i), fine, 2 * fine);
      up_.emplace_back(fmt::format("decoder.{}.same", i), coarse, coarse);
      up_.emplace_back(fmt::format("decoder.{}.narrower", i), coarse, coarse / 2);
    }
  }

  Shape latent_shape() const override {
    return feature_map_ ? Shape{latent_, coarse_[1], coarse_[2]} : Shape{latent_};
  }

  void initialise(Weights& weights, Noise& noise) const override {
    stem_.initialise(weights, noise);
    for (const Layer& layer : down_) layer.initialise(weights, noise);
    encoder_norm_.initialise(weights);
    if (feature_map_) {
      to_map_.initialise(weights, noise);
      from_map_.initialise(weights, noise);
    } else {
      to_vector_.initialise(weights, noise);
      from_vector_.initialise(weights, noise);
    }
    for (const Layer& layer : up_) layer.initialise(weights, noise);
    decoder_norm_.initialise(weights);
    head_.initialise(weights, noise);
  }

  DiagonalGaussian encode(const Weights& weights, const Tensor& x) const override {
    Tensor h = stem_(weights, x);
    for (size_t i = 0; i < down_.size(); i += 2)
      h = down_[i + 1](weights, at::avg_pool2d(down_[i](weights, h), 2));
    h = encoder_norm_.silu(weights, h);
    return halves(feature_map_ ? to_map_(weights, h) : to_vector_(weights, h.flatten(1)));
  }

  Tensor decode(const Weights& weights, const Tensor& z) const override {
    Tensor h = feature_map_ ? from_map_(weights, z)
                            : from_vector_(weights, z).reshape(with_batch(z.size(0), coarse_));
    for (size_t i = 0; i < up_.size(); i += 2) {
      h = up_[i + 1](weights, up_[i](weights, h));
      h = at::upsample_nearest2d(h, {2 * h.size(2), 2 * h.size(3)});
    }
    return head_(weights, decoder_norm_.silu(weights, h));
  }

 private:
  int64_t latent_;
  bool feature_map_;
  Shape coarse_;
  Convolution stem_;
  std::vector<Layer> down_;
  GroupNorm encoder_norm_;
  Convolution to_map_, from_map_;   // of a feature map
  Linear to_vector_, from_vector_;  // of a vector
  std::vector<Layer> up_;
  GroupNorm decoder_norm_;
  Convolution head_;
};

bool halves_evenly(const Shape& shape, int64_t halvings) {
  if (shape.size() != 3 || halvings < 0 || halvings > 16) return false;
  const int64_t factor = int64_t{1} << halvings;
  return shape[1] % factor == 0 && shape[2] % factor == 0;
}

void check(const VaeOptions& options, const Shape& shape) {
  const auto at_least_one = [](const char* field, int64_t value) {
    if (value < 1) throw Error(field, fmt::format("{}: at least 1 is needed", value));
  };
  at_least_one("model.latent", options.latent);
  at_least_one("model.width", options.width);
  at_least_one("model.depth", options.depth);
  at_least_one("model.channels", options.channels);
  at_least_one("model.halvings", options.halvings);
  at_least_one("model.importance_samples", options.importance_samples);
  if (!(options.kl_weight >= 0 && std::isfinite(options.kl_weight)))
    throw Error("model.kl_weight", fmt::format("{}: a number of at least 0 is needed", options.kl_weight));
  const bool convolutions = options.architecture == Architecture::convolutional ||
                            options.architecture == Architecture::feature_map;
  if (convolutions && !halves_evenly(shape, options.halvings)) {
    throw Error("model.halvings",
                fmt::format("{}: rows of shape {} are not images (channels, height, width) whose sides can "
                            "be halved that often",
                            options.halvings, to_string(shape)));
  }
}

}  // namespace

Tensor kl_from_standard(const DiagonalGaussian& q) {
  return 0.5 * (q.mean.square() + q.log_variance.exp() - 1 - q.log_variance).flatten(1).sum(1);
}

Tensor reparametrised(const DiagonalGaussian& q, const Tensor& eps) {
  return q.mean + (0.5 * q.log_variance).exp() * eps;
}

Architecture vae_architecture(const VaeOptions& options, const Shape& shape) {
  if (options.architecture != Architecture::automatic) return options.architecture;
  return halves_evenly(shape, options.halvings) ? Architecture::convolutional : Architecture::mlp;
}

std::shared_ptr<const VaeCoder> make_coder(const VaeOptions& options, const Shape& shape) {
  check(options, shape);
  switch (vae_architecture(options, shape)) {
    case Architecture::linear:
      return std::make_shared<LinearCoder>(options, shape);
    case Architecture::convolutional:
      return std::make_shared<ConvolutionalCoder>(options, shape, false);
    case Architecture::feature_map:
      return std::make_shared<ConvolutionalCoder>(options, shape, true);
    case Architecture::automatic:
    case Architecture::mlp:
      break;
  }
  return std::make_shared<MlpCoder>(options, shape);
}

}  // namespace tweedie
