#include "network/readout.h"

#include "core/shape.h"
#include "network/layers.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

using layers::Convolution;
using layers::GroupNorm;
using layers::Linear;

constexpr int64_t embedding_size = 64;

// embed(c_noise), (1 or B, width)
Tensor embedded(const Linear& embed, const Weights& weights, const Tensor& c_noise) {
  return embed(weights, layers::sinusoidal_embedding(c_noise, embedding_size));
}

class VectorReadout final : public Readout {
 public:
  VectorReadout(const ReadoutOptions& options, const Shape& shape, int64_t outputs)
      : embedded_(options.embedded),
        stem_{"stem", product(shape), options.width},
        head_{"head", options.width, outputs, true} {
    for (int64_t i = 0; i < options.depth; ++i) {
      const std::string name = fmt::format("layer{}", i);
      layers_.push_back({Linear{name + ".embed", embedding_size, options.width},
                         Linear{name + ".in", options.width, options.width},
                         Linear{name + ".out", options.width, options.width}});
    }
  }

  Weights initialise(Noise noise) const override {
    Weights weights;
    stem_.initialise(weights, noise);
    for (const Layer& layer : layers_) {
      if (embedded_) layer.embed.initialise(weights, noise);
      layer.in.initialise(weights, noise);
      layer.out.initialise(weights, noise);
    }
    head_.initialise(weights, noise);
    return weights;
  }

  Tensor operator()(const Weights& weights, const Tensor& x, const Tensor& c_noise) const override {
    Tensor h = stem_(weights, x.flatten(1));
    for (const Layer& layer : layers_) {
      Tensor inner = layer.in(weights, h);
      if (embedded_) inner = inner + embedded(layer.embed, weights, c_noise);
      h = h + layer.out(weights, at::silu(inner));
    }
    return head_(weights, at::silu(h));
  }

 private:
  struct Layer {
    Linear embed, in, out;
  };

  bool embedded_;
  Linear stem_;
  std::vector<Layer> layers_;
  Linear head_;
};

class ImageReadout final : public Readout {
 public:
  ImageReadout(const ReadoutOptions& options, const Shape& shape, int64_t outputs)
      : embedded_(options.embedded), normalised_(options.normalised) {
    const auto channels = [&](int64_t level) {
      return std::max<int64_t>(1, options.width >> (options.depth - 1 - level));
    };
    stem_ = {"stem", shape[0], channels(0)};
    for (int64_t level = 0; level < options.depth; ++level) {
      const std::string name = fmt::format("level{}", level);
      const int64_t own = channels(level), before = channels(std::max<int64_t>(0, level - 1));
      levels_.push_back({Convolution{name + ".widen", before, own, 1}, GroupNorm{name + ".norm1", own},
                         Convolution{name + ".conv1", own, own}, Linear{name + ".embed", embedding_size, own},
                         GroupNorm{name + ".norm2", own}, Convolution{name + ".conv2", own, own}});
    }
    head_norm_ = {"head.norm", options.width};
    head_ = {"head", options.width, outputs, true};
  }

  Weights initialise(Noise noise) const override {
    Weights weights;
    stem_.initialise(weights, noise);
    for (size_t i = 0; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      if (i > 0) level.widen.initialise(weights, noise);
      if (normalised_) level.norm1.initialise(weights);
      level.conv1.initialise(weights, noise);
      if (embedded_) level.embed.initialise(weights, noise);
      if (normalised_) level.norm2.initialise(weights);
      level.conv2.initialise(weights, noise);
    }
    if (normalised_) head_norm_.initialise(weights);
    head_.initialise(weights, noise);
    return weights;
  }

  Tensor operator()(const Weights& weights, const Tensor& x, const Tensor& c_noise) const override {
    const auto silu = [&](const GroupNorm& norm, const Tensor& h) {
      return normalised_ ? norm.silu(weights, h) : at::silu(h);
    };
    Tensor h = stem_(weights, x);
    for (size_t i = 0; i < levels_.size(); ++i) {
      const Level& level = levels_[i];
      if (i > 0) h = level.widen(weights, at::avg_pool2d(h, 2));
      Tensor inner = level.conv1(weights, silu(level.norm1, h));
      if (embedded_) inner = inner + embedded(level.embed, weights, c_noise).unsqueeze(-1).unsqueeze(-1);
      h = h + level.conv2(weights, silu(level.norm2, inner));
    }
    return head_(weights, silu(head_norm_, h).mean(at::IntArrayRef{2, 3}));
  }

 private:
  struct Level {
    Convolution widen;
    GroupNorm norm1;
    Convolution conv1;
    Linear embed;
    GroupNorm norm2;
    Convolution conv2;
  };

  bool embedded_, normalised_;
  Convolution stem_;
  std::vector<Level> levels_;
  GroupNorm head_norm_;
  Linear head_;
};

}  // namespace

std::shared_ptr<const Readout> make_readout(const ReadoutOptions& options, const Shape& shape,
                                            int64_t outputs) {
  if (options.width < 1) throw Error("model.width", fmt::format("{}: at least 1 is needed", options.width));
  if (options.depth < 1) throw Error("model.depth", fmt::format("{}: at least 1 is needed", options.depth));
  if (shape.size() != 3) return std::make_shared<VectorReadout>(options, shape, outputs);
  if (options.depth > 62 || std::min(shape[1], shape[2]) >> (options.depth - 1) == 0) {
    throw Error("model.depth", fmt::format("{}: images of shape {} cannot be halved {} times", options.depth,
                                           to_string(shape), options.depth - 1));
  }
  return std::make_shared<ImageReadout>(options, shape, outputs);
}

void require_weights(const Weights& weights, const Weights& expected) {
  bool same = weights.names() == expected.names();
  for (size_t i = 0; same && i < expected.size(); ++i)
    same = weights.tensors()[i].sizes() == expected.tensors()[i].sizes();
  if (!same) throw Error("weights", "not those of a model of these options and this shape");
}

}  // namespace tweedie
