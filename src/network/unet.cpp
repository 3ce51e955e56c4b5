// The U-Net denoiser network: options and sources in tweedie/network.h.

#include "core/shape.h"
#include "network/engines.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace tweedie {

namespace {

using layers::Convolution;
using layers::GroupNorm;
using layers::Linear;

// h = conv(silu(norm(x)));  h = conv(silu(norm(h) (1 + scale) + shift));  x + h
struct ResidualBlock {
  ResidualBlock(const std::string& name, int64_t in, int64_t out, int64_t embedding)
      : norm1{name + ".norm1", in},
        conv1{name + ".conv1", in, out},
        modulation{name + ".modulation", embedding, 2 * out},
        norm2{name + ".norm2", out},
        conv2{name + ".conv2", out, out, 3, true} {
    if (in != out) skip = Convolution{name + ".skip", in, out, 1};
  }

  void initialise(Weights& weights, Noise& noise) const {
    norm1.initialise(weights);
    conv1.initialise(weights, noise);
    modulation.initialise(weights, noise);
    norm2.initialise(weights);
    conv2.initialise(weights, noise);
    if (skip) skip->initialise(weights, noise);
  }

  template <class Engine>
  typename Engine::Image operator()(Engine& engine, const typename Engine::Image& x) const {
    const auto h = engine.convolve(conv1, engine.silu(norm1, x));
    const auto residual = skip ? engine.convolve(*skip, x) : x;
    return engine.convolve(conv2, engine.silu(norm2, h, modulation), residual);
  }

  double flops(int64_t pixels) const {
    return conv1.flops(pixels) + conv2.flops(pixels) + modulation.flops() + (skip ? skip->flops(pixels) : 0);
  }

  GroupNorm norm1;
  Convolution conv1;
  Linear modulation;
  GroupNorm norm2;
  Convolution conv2;
  std::optional<Convolution> skip;
};

// x + out(softmax(q k^T / sqrt(channels)) v) over the pixels, one head
struct Attention {
  Attention(const std::string& name, int64_t channels)
      : channels(channels),
        norm{name + ".norm", channels},
        qkv{name + ".qkv", channels, 3 * channels, 1},
        out{name + ".out", channels, channels, 1, true} {}

  void initialise(Weights& weights, Noise& noise) const {
    norm.initialise(weights);
    qkv.initialise(weights, noise);
    out.initialise(weights, noise);
  }

  template <class Engine>
  typename Engine::Image operator()(Engine& engine, const typename Engine::Image& x) const {
    return engine.convolve(out, engine.attend(engine.convolve(qkv, engine.norm(norm, x))), x);
  }

  double flops(int64_t pixels) const {
    return qkv.flops(pixels) + out.flops(pixels) + 4.0 * static_cast<double>(pixels * pixels * channels);
  }

  int64_t channels;
  GroupNorm norm;
  Convolution qkv, out;
};

// A residual block, and attention after it at the resolutions that have it.
struct Stage {
  ResidualBlock block;
  std::optional<Attention> attention;
  int64_t pixels;

  void initialise(Weights& weights, Noise& noise) const {
    block.initialise(weights, noise);
    if (attention) attention->initialise(weights, noise);
  }
  template <class Engine>
  typename Engine::Image operator()(Engine& engine, const typename Engine::Image& x) const {
    const auto h = block(engine, x);
    return attention ? (*attention)(engine, h) : h;
  }
  double flops() const { return block.flops(pixels) + (attention ? attention->flops(pixels) : 0); }
};

class UNet final : public Network {
 public:
  UNet(const UNetOptions& options, const Shape& image, const NetworkHeads& heads)
      : UNet(options, image,
             {image[0] * options.patch * options.patch, image[1] / options.patch, image[2] / options.patch},
             heads) {}

  // shape: of the image folded into patches
  UNet(const UNetOptions& options, const Shape& image, const Shape& shape, const NetworkHeads& heads)
      : shape_(image),
        patch_(options.patch),
        embedding_size_(4 * options.channels),
        embed1_{"embed1", options.channels, embedding_size_},
        embed2_{"embed2", embedding_size_, embedding_size_},
        labels_{"labels", heads.classes, embedding_size_},
        stem_{"stem", shape[0], options.channels},
        middle_attention_("middle.attention", options.channels * options.multipliers.back()),
        head_norm_{"head.norm", options.channels * options.multipliers.front()},
        outputs_(heads.outputs),
        head_{"head.conv", options.channels * options.multipliers.front(), shape[0] * heads.outputs, 3,
              true} {
    const int64_t levels = static_cast<int64_t>(options.multipliers.size());
    int64_t channels = options.channels;
    std::vector<int64_t> skips;
    const auto stage = [&](const std::string& name, int64_t in, int64_t out, int64_t level, bool attend) {
      const int64_t height = shape[1] >> level, width = shape[2] >> level;
      return Stage{ResidualBlock(name, in, out, embedding_size_),
                   attend ? std::optional<Attention>(Attention(name + ".attention", out)) : std::nullopt,
                   height * width};
    };
    const auto attends = [&](int64_t level) {
      return std::count(options.attention.begin(), options.attention.end(), shape[1] >> level) > 0;
    };
    for (int64_t level = 0; level < levels; ++level) {
      auto& stages = down_.emplace_back();
      for (int64_t i = 0; i < options.blocks; ++i) {
        const int64_t out = options.channels * options.multipliers[level];
        stages.push_back(stage(fmt::format("down{}.{}", level, i), channels, out, level, attends(level)));
        skips.push_back(channels = out);
      }
    }
    middle_pixels_ = (shape[1] >> (levels - 1)) * (shape[2] >> (levels - 1));
    middle_.push_back(stage("middle.0", channels, channels, levels - 1, false));
    middle_.push_back(stage("middle.1", channels, channels, levels - 1, false));
    for (int64_t level = levels - 1; level >= 0; --level) {
      auto& stages = up_.emplace_back();
      for (int64_t i = 0; i < options.blocks; ++i) {
        const int64_t out = options.channels * options.multipliers[level];
        stages.push_back(
            stage(fmt::format("up{}.{}", level, i), channels + skips.back(), out, level, attends(level)));
        skips.pop_back();
        channels = out;
      }
    }
  }

  Shape shape() const override { return shape_; }
  int64_t classes() const override { return labels_.classes; }
  int64_t outputs() const override { return outputs_; }

  Weights initialise(Noise noise) const override {
    Weights weights;
    embed1_.initialise(weights, noise);
    embed2_.initialise(weights, noise);
    stem_.initialise(weights, noise);
    for (const auto& stages : down_) {
      for (const Stage& stage : stages) stage.initialise(weights, noise);
    }
    middle_[0].initialise(weights, noise);
    middle_attention_.initialise(weights, noise);
    middle_[1].initialise(weights, noise);
    for (const auto& stages : up_) {
      for (const Stage& stage : stages) stage.initialise(weights, noise);
    }
    head_norm_.initialise(weights);
    head_.initialise(weights, noise);
    labels_.initialise(weights, noise);
    return weights;
  }

  Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise,
                 const Tensor& labels) const override {
    TensorEngine engine{weights, embedding(weights, c_noise, labels)};
    const Tensor h = at::pixel_unshuffle(x, patch_).contiguous(at::MemoryFormat::ChannelsLast);
    return at::pixel_shuffle(layers(engine, h), patch_);
  }

  Bound bind(const Weights& weights, at::ScalarType dtype) const override {
    return bind_planned(
        weights, dtype, [&]<class E>(E) { return planned<E>(weights); },
        [&] { return Network::bind(weights, dtype); });
  }

  double flops() const override {
    const int64_t pixels = shape_[1] * shape_[2] / (patch_ * patch_);
    double total = stem_.flops(pixels) + head_.flops(pixels) + embed1_.flops() + embed2_.flops();
    for (const auto* side : {&down_, &up_}) {
      for (const auto& stages : *side) {
        for (const Stage& stage : stages) total += stage.flops();
      }
    }
    for (const Stage& stage : middle_) total += stage.flops();
    return total + middle_attention_.flops(middle_pixels_);
  }

 private:
  // silu(embed2(silu(embed1(sinusoids of c_noise))) + that of the label), (1 or B, embedding size)
  Tensor embedding(const Weights& weights, const Tensor& c_noise, const Tensor& labels) const {
    const Tensor sinusoids =
        layers::sinusoidal_embedding(c_noise, embed1_.in).to(weights.tensors().front().scalar_type());
    const Tensor of_noise = embed2_(weights, at::silu(embed1_(weights, sinusoids)));
    return at::silu(labels_.classes == 0 ? of_noise : of_noise + labels_(weights, labels));
  }

  template <class E>
  Bound planned(const Weights& given) const {
    const Weights weights = given.to(at::kCPU, at::kFloat);
    const auto plan = std::make_shared<Plan<E>>();
    PlanEngine<E> engine{weights, *plan, {}};
    const Value input = plan->input({shape_[1] / patch_, shape_[2] / patch_, shape_[0] * patch_ * patch_});
    plan->finish(layers(engine, input));
    return [this, weights, plan = std::shared_ptr<const Plan<E>>(plan), modulations = engine.modulations](
               const Tensor& x, const Tensor& c_noise, const Tensor& labels) {
      const Tensor embedded = embedding(weights, c_noise, labels);
      std::vector<Tensor> modulation;
      for (const Linear& linear : modulations) modulation.push_back(linear(weights, embedded));
      const Tensor folded = at::pixel_unshuffle(x.to(at::kFloat), patch_);
      const Tensor y = run_plan(plan, buffers_, folded, at::cat(modulation, 1));
      return at::pixel_shuffle(y, patch_).to(x.scalar_type());
    };
  }

  template <class Engine>
  typename Engine::Image layers(Engine& engine, const typename Engine::Image& x) const {
    auto h = engine.convolve(stem_, x);
    std::vector<typename Engine::Image> skips;
    for (size_t level = 0; level < down_.size(); ++level) {
      if (level > 0) h = engine.halve(h);
      for (const Stage& stage : down_[level]) skips.push_back(h = stage(engine, h));
    }
    h = middle_[0](engine, h);
    h = middle_attention_(engine, h);
    h = middle_[1](engine, h);
    for (size_t i = 0; i < up_.size(); ++i) {
      for (const Stage& stage : up_[i]) {
        h = stage(engine, engine.concatenate(h, skips.back()));
        skips.pop_back();
      }
      if (i + 1 < up_.size()) h = engine.enlarge(h, skips.back());
    }
    return engine.convolve(head_, engine.silu(head_norm_, h));
  }

  Shape shape_;
  int64_t patch_;
  int64_t embedding_size_;
  Linear embed1_, embed2_;
  layers::ClassEmbedding labels_;
  Convolution stem_;
  std::vector<std::vector<Stage>> down_, up_;
  std::vector<Stage> middle_;
  Attention middle_attention_;
  int64_t middle_pixels_ = 0;
  GroupNorm head_norm_;
  int64_t outputs_;
  Convolution head_;
  std::shared_ptr<Buffers> buffers_ = std::make_shared<Buffers>();
};

void check(const UNetOptions& options, const Shape& shape) {
  if (shape.size() != 3) {
    throw Error("network",
                fmt::format("the data has shape {}, but unet needs images (channels, height, width); "
                            "use kind = \"mlp\"",
                            to_string(shape)));
  }
  if (options.channels < 4 || options.channels % 4 != 0) {
    throw Error("network.channels", fmt::format("{}: a positive multiple of 4 is needed", options.channels));
  }
  if (options.multipliers.empty()) throw Error("network.multipliers", "empty: one per resolution is needed");
  for (const int64_t multiplier : options.multipliers) {
    if (multiplier < 1)
      throw Error("network.multipliers", fmt::format("{}: at least 1 is needed", multiplier));
  }
  if (options.blocks < 1)
    throw Error("network.blocks", fmt::format("{}: at least 1 is needed", options.blocks));
  if (options.patch < 1 || shape[1] % options.patch != 0 || shape[2] % options.patch != 0) {
    throw Error("network.patch", fmt::format("{} does not divide the image's {} x {} pixels", options.patch,
                                             shape[1], shape[2]));
  }
  const size_t halvings = options.multipliers.size() - 1;
  for (const int64_t side : {shape[1] / options.patch, shape[2] / options.patch}) {
    if (halvings > 30 || side >> halvings < 1) {
      throw Error("network.multipliers",
                  fmt::format("{} resolutions halve a side of {} pixels to nothing; use fewer",
                              options.multipliers.size(), side));
    }
  }
  for (const int64_t resolution : options.attention) {
    bool known = false;
    for (size_t level = 0; level <= halvings; ++level)
      known = known || ((shape[1] / options.patch) >> level) == resolution;
    if (!known) {
      throw Error("network.attention",
                  fmt::format("{}: no resolution of the network has this height", resolution));
    }
  }
}

}  // namespace

std::shared_ptr<const Network> make_network(const UNetOptions& options, const Shape& shape,
                                            const NetworkHeads& heads) {
  check(options, shape);
  return std::make_shared<UNet>(options, shape, heads);
}

std::shared_ptr<const Network> make_network(const NetworkOptions& options, const Shape& shape,
                                            const NetworkHeads& heads) {
  return std::visit([&](const auto& alternative) { return make_network(alternative, shape, heads); },
                    options);
}

}  // namespace tweedie
