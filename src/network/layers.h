#pragma once
// The layers that the networks share: each is a name, its sizes, its initial weights and its function.

#include "tweedie/network.h"

namespace tweedie::layers {

// y = W x + b over the last axis
Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& bias);

// The same as a layer. Initial weights uniform with variance 1 / (3 in) (He et al. 2015), or zero.
struct Linear {
  std::string name;
  int64_t in, out;
  bool zero = false;

  void initialise(Weights& weights, Noise& noise) const;
  Tensor operator()(const Weights& weights, const Tensor& x) const;
  double flops() const { return 2.0 * static_cast<double>(in * out); }
};

// kernel x kernel convolution, stride 1, zero padding to the same size; x: (B, in, H, W)
struct Convolution {
  std::string name;
  int64_t in, out, kernel = 3;
  bool zero = false;

  void initialise(Weights& weights, Noise& noise) const;
  Tensor operator()(const Weights& weights, const Tensor& x) const;
  double flops(int64_t pixels) const {
    return 2.0 * static_cast<double>(in * out * kernel * kernel * pixels);
  }
};

// Wu & He 2018; groups of at least 4 channels, at most 32 groups
struct GroupNorm {
  std::string name;
  int64_t channels;

  void initialise(Weights& weights) const;
  int64_t groups() const;
  Tensor operator()(const Weights& weights, const Tensor& x) const;
  // silu(norm(x)); with scale and shift (B or 1, C): silu(norm(x) (1 + scale) + shift)
  Tensor silu(const Weights& weights, const Tensor& x) const;
  Tensor silu(const Weights& weights, const Tensor& x, const Tensor& scale, const Tensor& shift) const;
};

// A vector for each class and, last, one for none; labels: (1) or (B), or undefined for none -> (1 or B,
// size). Initially normal, of the sinusoids' standard deviation, but for none: zero.
struct ClassEmbedding {
  std::string name;
  int64_t classes, size;

  void initialise(Weights& weights, Noise& noise) const;
  Tensor operator()(const Weights& weights, const Tensor& labels) const;
};

// Sines and cosines of c_noise at `size / 2` frequencies, geometric from 1 to 1000 (Vaswani et al. 2017):
// (B) -> (B, size)
Tensor sinusoidal_embedding(const Tensor& c_noise, int64_t size);

// Whether both have arrays of the same names and sizes, in the same order
bool same_arrays(const Weights& a, const Weights& b);

}  // namespace tweedie::layers
