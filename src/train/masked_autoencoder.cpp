// He, Chen, Xie, Li, Dollar and Girshick, "Masked autoencoders are scalable vision learners" (CVPR 2022). The
// encoder, a vision transformer, is given the visible patches alone, with their positions; the decoder, a
// smaller one, all patches, a learned token in place of each hidden one. Loss
//   sum over hidden patches of |x_i - f_i(x_visible)|^2,   least at f_i = E[x_i | x_visible].

#include "tweedie/masked_autoencoder.h"

#include "core/row_slices.h"
#include "core/shape.h"
#include "network/mixed_precision.h"
#include "network/transformer.h"
#include "train/standardise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

using layers::LayerNorm;
using layers::Linear;
using layers::TransformerBlock;

// Tokens (B, N, n) -> those at index (B, k), (B, k, n)
Tensor chosen(const Tensor& tokens, const Tensor& index) {
  return tokens.gather(1, index.unsqueeze(2).expand({-1, -1, tokens.size(2)}));
}

std::vector<TransformerBlock> make_blocks(const char* name, int64_t depth, int64_t width, int64_t heads) {
  std::vector<TransformerBlock> blocks;
  for (int64_t i = 0; i < depth; ++i) blocks.emplace_back(fmt::format("{}{}", name, i), width, heads);
  return blocks;
}

}  // namespace

struct MaskedAutoencoder::Layers {
  Layers(const MaskedAutoencoderOptions& o, const Shape& shape)
      : patches(shape, o.patch, "model.patch"),
        stem{"stem", patches.size(), o.width},
        encoder(make_blocks("encoder", o.depth, o.width, o.heads)),
        encoder_norm{"encoder.norm", o.width},
        bridge{"bridge", o.width, o.decoder_width},
        decoder(make_blocks("decoder", o.decoder_depth, o.decoder_width, o.decoder_heads)),
        decoder_norm{"decoder.norm", o.decoder_width},
        head{"head", o.decoder_width, patches.size(), true} {}

  void initialise(Weights& weights, Noise& noise) const {
    stem.initialise(weights, noise);
    weights.add("encoder.positions", patches.positions(stem.out));
    for (const auto& block : encoder) block.initialise(weights, noise);
    encoder_norm.initialise(weights);
    bridge.initialise(weights, noise);
    weights.add("mask_token", at::zeros({bridge.out}));
    weights.add("decoder.positions", patches.positions(bridge.out));
    for (const auto& block : decoder) block.initialise(weights, noise);
    decoder_norm.initialise(weights);
    head.initialise(weights, noise);
  }

  // All patches from those at index visible (B, k), (B, patches, size); tokens: (B, patches, size)
  Tensor predict(const Weights& weights, const Tensor& tokens, const Tensor& visible) const {
    const Tensor positions = weights["encoder.positions"].expand({tokens.size(0), -1, -1});
    Tensor h = stem(weights, chosen(tokens, visible)) + chosen(positions, visible);
    for (const auto& block : encoder) h = block(weights, h);
    h = bridge(weights, encoder_norm(weights, h));
    const Tensor hidden = weights["mask_token"].expand({tokens.size(0), patches.count(), bridge.out});
    h = hidden.scatter(1, visible.unsqueeze(2).expand({-1, -1, bridge.out}), h);
    h = h + weights["decoder.positions"];
    for (const auto& block : decoder) h = block(weights, h);
    return head(weights, decoder_norm(weights, h));
  }

  layers::Patches patches;
  Linear stem;
  std::vector<TransformerBlock> encoder;
  LayerNorm encoder_norm;
  Linear bridge;
  std::vector<TransformerBlock> decoder;
  LayerNorm decoder_norm;
  Linear head;
};

MaskedAutoencoder::MaskedAutoencoder(const MaskedAutoencoderOptions& options, const Shape& shape,
                                     const DataScale& scale)
    : scale_(scale), layers_(std::make_unique<Layers>(options, shape)) {
  require_scale(scale);
  layers::require_heads(options.width, options.heads, "model.");
  layers::require_heads(options.decoder_width, options.decoder_heads, "model.decoder_");
  for (const auto& [field, value] :
       {std::pair{"model.depth", options.depth}, std::pair{"model.decoder_depth", options.decoder_depth}}) {
    if (value < 1) throw Error(field, fmt::format("{}: at least 1 is needed", value));
  }
  const auto count = static_cast<double>(patches());
  if (!(options.mask_fraction > 0 && options.mask_fraction < 1)) {
    throw Error("model.mask_fraction",
                fmt::format("{}: a number between 0 and 1 is needed", options.mask_fraction));
  }
  hidden_ = std::lround(options.mask_fraction * count);
  if (hidden_ < 1 || hidden_ >= patches()) {
    throw Error("model.mask_fraction",
                fmt::format("{} of {} patches hides {} of them, but some have to be hidden and some visible",
                            options.mask_fraction, patches(), hidden_));
  }
}

MaskedAutoencoder::~MaskedAutoencoder() = default;

Shape MaskedAutoencoder::shape() const {
  return layers_->patches.shape();
}

int64_t MaskedAutoencoder::patches() const {
  return layers_->patches.count();
}

double MaskedAutoencoder::terms() const {
  return static_cast<double>(hidden_ * layers_->patches.size());
}

Tensor MaskedAutoencoder::hidden_numbers(const Tensor& mask) const {
  const int64_t size = layers_->patches.size();
  return layers_->patches.join(mask.to(at::kFloat).unsqueeze(2).expand({-1, -1, size})).gt(0.5);
}

Weights MaskedAutoencoder::initialise(Noise noise, const Tensor&) const {
  Weights weights;
  layers_->initialise(weights, noise);
  return weights;
}

Trainable::Loss MaskedAutoencoder::bind(const Weights& weights, at::ScalarType dtype) const {
  return [this, weights, dtype](const Batch& batch, Noise& noise) {
    const Bf16Products narrow(dtype == at::kBFloat16);
    const Tensor tokens = layers_->patches.split(standardised(batch.x, scale_));
    const Tensor order =
        noise.uniform({batch.x.size(0), patches()}, at::kFloat).argsort(true, 1).to(tokens.device());
    const Tensor hidden = order.slice(1, 0, hidden_), visible = order.slice(1, hidden_);
    const Tensor predicted = layers_->predict(weights, tokens, visible);
    return (chosen(predicted, hidden) - chosen(tokens, hidden)).square().sum();
  };
}

Tensor MaskedAutoencoder::reconstruct(const Weights& weights, const Tensor& x, const Tensor& mask,
                                      int64_t threads) const {
  require_real(x, "x");
  require_batch_of(x, shape(), "x");
  require_finite(x, "x");
  if (!layers::same_arrays(weights, initialise(Noise(0), {})))
    throw Error("weights", "not those of a masked autoencoder of these options and this shape");
  const int64_t rows = x.size(0), count = patches();
  if (mask.scalar_type() != at::kBool ||
      (mask.sizes() != at::IntArrayRef{count} && mask.sizes() != at::IntArrayRef{rows, count})) {
    throw Error("mask",
                fmt::format("{} {}, but bool ({},) or ({}, {}) is needed", toString(mask.scalar_type()),
                            to_string(mask.sizes()), count, rows, count));
  }
  if (mask.all(-1).any().item<bool>())
    throw Error("mask", "hides all patches of a row: some have to be visible");
  const Tensor given = x.to(at::kFloat), masks = mask.expand({rows, count}), numbers = masks.sum(1);
  Tensor result = given.clone();
  // Rows with as many hidden patches go together.
  for (int64_t hidden = 1; hidden < count; ++hidden) {
    const Tensor of_rows = numbers.eq(hidden).nonzero().flatten();
    if (of_rows.numel() == 0) continue;
    const Tensor filled = map_slices(of_rows, rows_together(shape()), threads, [&](const Tensor& own) {
      const Tensor tokens = layers_->patches.split(standardised(given.index_select(0, own), scale_));
      const Tensor hides = masks.index_select(0, own);
      // Visible patches first; a stable sort, so in their order
      const Tensor order = hides.to(at::kByte).argsort(true, 1);
      const Tensor predicted = layers_->predict(weights, tokens, order.slice(1, 0, count - hidden));
      const Tensor joined = layers_->patches.join(at::where(hides.unsqueeze(2), predicted, tokens));
      return in_data_units(joined, scale_);
    });
    result.index_copy_(0, of_rows, filled);
  }
  return result;
}

}  // namespace tweedie
