// The diffusion transformer of Peebles and Xie, "Scalable diffusion models with transformers" (ICCV 2023):
// options in tweedie/network.h. Tokens of patches with learned positions, which begin as sinusoids; blocks
// with adaLN-zero; a modulated norm and a linear map back to patches.

#include "core/shape.h"
#include "network/transformer.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

using layers::Linear;

constexpr int64_t sinusoids = 64;  // of the noise level

class Dit final : public Network {
 public:
  Dit(const DitOptions& options, const Shape& shape, const NetworkHeads& heads)
      : patches_(shape, options.patch, "network.patch"),
        embed1_{"embed1", sinusoids, options.width},
        embed2_{"embed2", options.width, options.width},
        labels_{"labels", heads.classes, options.width},
        stem_{"stem", patches_.size(), options.width},
        modulation_{"head.modulation", options.width, 2 * options.width, true},
        outputs_(heads.outputs),
        head_{"head.linear", options.width, heads.outputs * patches_.size(), true} {
    for (int64_t i = 0; i < options.depth; ++i)
      blocks_.emplace_back(fmt::format("block{}", i), options.width, options.heads, options.width);
  }

  Shape shape() const override { return patches_.shape(); }
  int64_t classes() const override { return labels_.classes; }
  int64_t outputs() const override { return outputs_; }

  Weights initialise(Noise noise) const override {
    Weights weights;
    for (const Linear* linear : {&embed1_, &embed2_, &stem_}) linear->initialise(weights, noise);
    weights.add("positions", patches_.positions(stem_.out));
    for (const auto& block : blocks_) block.initialise(weights, noise);
    modulation_.initialise(weights, noise);
    head_.initialise(weights, noise);
    labels_.initialise(weights, noise);
    return weights;
  }

  Tensor forward(const Weights& weights, const Tensor& x, const Tensor& c_noise,
                 const Tensor& labels) const override {
    const Tensor embedding = this->embedding(weights, c_noise, labels).unsqueeze(1);
    Tensor h = stem_(weights, patches_.split(x)) + weights["positions"];
    for (const auto& block : blocks_) h = block(weights, h, embedding);
    const Tensor tokens = head_(weights, layers::modulated(h, modulation_(weights, embedding)));
    std::vector<Tensor> outputs;
    for (const Tensor& output : tokens.chunk(outputs_, -1)) outputs.push_back(patches_.join(output));
    return outputs_ == 1 ? outputs[0] : at::cat(outputs, 1);
  }

  double flops() const override {
    const auto tokens = static_cast<double>(patches_.count());
    double total = embed1_.flops() + embed2_.flops() + modulation_.flops();
    for (const auto& block : blocks_) total += block.flops(patches_.count());
    return total + tokens * (stem_.flops() + head_.flops());
  }

 private:
  // silu(embed2(silu(embed1(sinusoids of c_noise))) + that of the label), (1 or B, width)
  Tensor embedding(const Weights& weights, const Tensor& c_noise, const Tensor& labels) const {
    const Tensor of_level =
        layers::sinusoidal_embedding(c_noise, sinusoids).to(weights.tensors().front().scalar_type());
    const Tensor embedded = embed2_(weights, at::silu(embed1_(weights, of_level)));
    return at::silu(labels_.classes == 0 ? embedded : embedded + labels_(weights, labels));
  }

  layers::Patches patches_;
  Linear embed1_, embed2_;
  layers::ClassEmbedding labels_;
  Linear stem_;
  std::vector<layers::TransformerBlock> blocks_;
  Linear modulation_;
  int64_t outputs_;
  Linear head_;
};

}  // namespace

std::shared_ptr<const Network> make_network(const DitOptions& options, const Shape& shape,
                                            const NetworkHeads& heads) {
  if (shape.size() != 3) {
    throw Error("network",
                fmt::format("the data has shape {}, but dit needs images (channels, height, width); use kind "
                            "= \"mlp\"",
                            to_string(shape)));
  }
  layers::require_heads(options.width, options.heads, "network.");
  if (options.depth < 1) throw Error("network.depth", fmt::format("{}: at least 1 is needed", options.depth));
  return std::make_shared<Dit>(options, shape, heads);
}

}  // namespace tweedie
