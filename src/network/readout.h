#pragma once
// A network that makes a few numbers of a row: logits of classes, an energy.
//   vectors  a residual MLP: h <- h + out(silu(in(h) + embed(c_noise))), depth times
//   images   the encoder half of a U-Net: at each of `depth` resolutions, each half of the one before,
//            h <- h + conv2(silu(conv1(silu(h)) + embed(c_noise))), with GroupNorm before each silu where it
//            is `normalised`; at the end the mean over the pixels of silu(h)
// and a linear layer, zero at the start.

#include "tweedie/network.h"

namespace tweedie {

struct ReadoutOptions {
  int64_t width = 128;    // of each hidden layer; images: channels at the lowest resolution, half as many at
                          // the one above it, and so on
  int64_t depth = 3;      // residual layers, or resolutions
  bool embedded = false;  // takes c_noise
  bool normalised = false;  // images only
};

class Readout {
 public:
  virtual ~Readout() = default;
  virtual Weights initialise(Noise noise) const = 0;
  // x: (B, *shape) float32; c_noise: (1) or (B), where it is embedded -> (B, outputs). Differentiable once.
  virtual Tensor operator()(const Weights& weights, const Tensor& x, const Tensor& c_noise = {}) const = 0;
};

// shape: (C, H, W) is an image, all else a vector. Throws Error on options that don't fit the shape.
std::shared_ptr<const Readout> make_readout(const ReadoutOptions& options, const Shape& shape,
                                            int64_t outputs);

// Throws Error unless these are arrays of the names and shapes that `expected` has.
void require_weights(const Weights& weights, const Weights& expected);

}  // namespace tweedie
