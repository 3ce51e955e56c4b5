#pragma once
// Transformers: tokens of an image or a vector, and the blocks that work on them. Tokens are (B, N, width).

#include "network/layers.h"

#include <optional>

namespace tweedie::layers {

// A row cut into tokens: squares of patch x patch pixels of an image (C, H, W), or `patch` neighbours each of
// a vector (d).
class Patches {
 public:
  // Throws Error(place) unless the patches tile the shape.
  Patches(const Shape& shape, int64_t patch, const std::string& place);

  const Shape& shape() const { return shape_; }
  int64_t count() const { return rows_ * columns_; }
  int64_t size() const { return size_; }  // numbers in each

  Tensor split(const Tensor& x) const;      // (B, *shape) -> (B, count, size)
  Tensor join(const Tensor& tokens) const;  // and back
  // Where each is: sinusoids of its row and its column, half of the width each, (count, width) float32
  Tensor positions(int64_t width) const;

 private:
  Shape shape_;
  int64_t patch_, rows_ = 1, columns_ = 1, size_ = 1;
};

// Throws Error(prefix + "width" or "heads") unless the width is a multiple of 4 and of the number of heads.
void require_heads(int64_t width, int64_t heads, const std::string& prefix);

// (x - mean) / sqrt(variance + 1e-6) over each token (Ba et al. 2016)
Tensor normalised(const Tensor& x);
// normalised(x) (1 + scale) + shift; scale_shift: (B or 1, 1, 2 width)
Tensor modulated(const Tensor& x, const Tensor& scale_shift);

// normalised(x) weight + bias
struct LayerNorm {
  std::string name;
  int64_t width;

  void initialise(Weights& weights) const;
  Tensor operator()(const Weights& weights, const Tensor& x) const;
};

// Vaswani et al. 2017, with the norms first: h = x + attention(norm(x)), h + mlp(norm(h)). With the size of
// an embedding, adaLN-zero (Peebles & Xie 2023): norm(x) (1 + scale) + shift in place of each norm and a gate
// on what is added, six linear maps of the embedding, which begin at zero: the block begins as the identity.
class TransformerBlock {
 public:
  // heads divides width; mlp_ratio: width of the MLP's hidden layer over `width`
  TransformerBlock(const std::string& name, int64_t width, int64_t heads,
                   std::optional<int64_t> embedding = {}, int64_t mlp_ratio = 4);

  void initialise(Weights& weights, Noise& noise) const;
  // embedding: (B or 1, 1, size) for a block that takes one
  Tensor operator()(const Weights& weights, const Tensor& x, const Tensor& embedding = {}) const;
  double flops(int64_t tokens) const;

 private:
  Tensor attend(const Weights& weights, const Tensor& x) const;
  Tensor mlp(const Weights& weights, const Tensor& x) const;

  int64_t width_, heads_;
  LayerNorm norm1_, norm2_;  // of a block without an embedding
  Linear qkv_, out_, up_, down_;
  std::optional<Linear> modulation_;
};

}  // namespace tweedie::layers
