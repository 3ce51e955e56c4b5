#include "network/transformer.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie::layers {

constexpr double epsilon = 1e-6;  // beside a token's variance

Patches::Patches(const Shape& shape, int64_t patch, const std::string& place) : shape_(shape), patch_(patch) {
  if (shape.size() != 1 && shape.size() != 3) {
    throw Error(place, fmt::format("the data has shape {}, but tokens are made of images (channels, height, "
                                   "width) or vectors",
                                   to_string(shape)));
  }
  const bool image = shape.size() == 3;
  if (patch < 1 || shape.back() % patch != 0 || (image && shape[1] % patch != 0)) {
    throw Error(
        place, image ? fmt::format("{} does not divide the image's {} x {} pixels", patch, shape[1], shape[2])
                     : fmt::format("{} does not divide the {} numbers of a row", patch, shape[0]));
  }
  columns_ = shape.back() / patch;
  size_ = patch;
  if (image) {
    rows_ = shape[1] / patch;
    size_ = shape[0] * patch * patch;
  }
}

Tensor Patches::split(const Tensor& x) const {
  if (shape_.size() == 1) return x.reshape({x.size(0), count(), size_});
  return at::pixel_unshuffle(x, patch_).flatten(2).transpose(1, 2);
}

Tensor Patches::join(const Tensor& tokens) const {
  if (shape_.size() == 1) return tokens.reshape({tokens.size(0), shape_[0]});
  return at::pixel_shuffle(tokens.transpose(1, 2).reshape({tokens.size(0), size_, rows_, columns_}), patch_);
}

Tensor Patches::positions(int64_t width) const {
  // Wavelengths from 2 pi to 2000 pi patches
  const auto axis = [&](int64_t count) {
    return sinusoidal_embedding(at::arange(count, at::kFloat) / 1000, width / 2);
  };
  const Tensor row = axis(rows_).unsqueeze(1).expand({rows_, columns_, width / 2});
  const Tensor column = axis(columns_).unsqueeze(0).expand({rows_, columns_, width / 2});
  return at::cat({row, column}, 2).reshape({count(), width});
}

void require_heads(int64_t width, int64_t heads, const std::string& prefix) {
  if (width < 4 || width % 4 != 0)
    throw Error(prefix + "width", fmt::format("{}: a positive multiple of 4 is needed", width));
  if (heads < 1 || width % heads != 0)
    throw Error(prefix + "heads", fmt::format("{}: a divisor of the width, {}, is needed", heads, width));
}

Tensor normalised(const Tensor& x) {
  return at::layer_norm(x, {x.size(-1)}, {}, {}, epsilon);
}

Tensor modulated(const Tensor& x, const Tensor& scale_shift) {
  const auto parts = scale_shift.chunk(2, -1);
  return normalised(x) * (parts[0] + 1) + parts[1];
}

void LayerNorm::initialise(Weights& weights) const {
  weights.add(name + ".weight", at::ones({width}));
  weights.add(name + ".bias", at::zeros({width}));
}

Tensor LayerNorm::operator()(const Weights& weights, const Tensor& x) const {
  return at::layer_norm(x, {width}, weights[name + ".weight"], weights[name + ".bias"], epsilon);
}

TransformerBlock::TransformerBlock(const std::string& name, int64_t width, int64_t heads,
                                   std::optional<int64_t> embedding, int64_t mlp_ratio)
    : width_(width),
      heads_(heads),
      norm1_{name + ".norm1", width},
      norm2_{name + ".norm2", width},
      qkv_{name + ".qkv", width, 3 * width},
      out_{name + ".out", width, width},
      up_{name + ".up", width, mlp_ratio * width},
      down_{name + ".down", mlp_ratio * width, width} {
  if (embedding) modulation_ = Linear{name + ".modulation", *embedding, 6 * width, true};
}

void TransformerBlock::initialise(Weights& weights, Noise& noise) const {
  if (modulation_) {
    modulation_->initialise(weights, noise);
  } else {
    norm1_.initialise(weights);
    norm2_.initialise(weights);
  }
  for (const Linear* linear : {&qkv_, &out_, &up_, &down_}) linear->initialise(weights, noise);
}

Tensor TransformerBlock::attend(const Weights& weights, const Tensor& x) const {
  const int64_t batch = x.size(0), tokens = x.size(1), size = width_ / heads_;
  const Tensor qkv = qkv_(weights, x).reshape({batch, tokens, 3, heads_, size}).permute({2, 0, 3, 1, 4});
  const Tensor q = qkv[0] / std::sqrt(static_cast<double>(size));
  const Tensor mixed = q.matmul(qkv[1].transpose(2, 3)).softmax(-1).matmul(qkv[2]);
  return out_(weights, mixed.transpose(1, 2).reshape({batch, tokens, width_}));
}

Tensor TransformerBlock::mlp(const Weights& weights, const Tensor& x) const {
  return down_(weights, at::gelu(up_(weights, x)));
}

Tensor TransformerBlock::operator()(const Weights& weights, const Tensor& x, const Tensor& embedding) const {
  if (!modulation_) {
    const Tensor h = x + attend(weights, norm1_(weights, x));
    return h + mlp(weights, norm2_(weights, h));
  }
  const auto parts =
      (*modulation_)(weights, embedding).split_with_sizes({2 * width_, width_, 2 * width_, width_}, -1);
  const Tensor h = x + parts[1] * attend(weights, modulated(x, parts[0]));
  return h + parts[3] * mlp(weights, modulated(h, parts[2]));
}

double TransformerBlock::flops(int64_t tokens) const {
  const auto n = static_cast<double>(tokens);
  return n * (qkv_.flops() + out_.flops() + up_.flops() + down_.flops()) +
         4 * n * n * static_cast<double>(width_) + (modulation_ ? modulation_->flops() : 0);
}

}  // namespace tweedie::layers
