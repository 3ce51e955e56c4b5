#pragma once
// What normalising flows are composed of: invertible maps of (B, ..., C), channels last, that know the
// logarithm of their determinant. Each is a name, its sizes, its initial weights and its function both ways.

#include "network/layers.h"
#include "network/planned.h"

#include <functional>

namespace tweedie::flows {

// A batch on its way through a flow, (B, ..., C), and log |det| of the way so far, (B).
struct Passage {
  Tensor x, log_det;
};

// Activation normalisation (Kingma, Dhariwal 2018, 3.1): y = exp(s) x + b for each channel;
// log |det| = places sum(s), where an image has H W places.
struct ActNorm {
  std::string name;
  int64_t channels;

  // Mean 0 and variance 1 of y; s = b = 0 if x is undefined
  void initialise(Weights& weights, const Tensor& x) const;
  Passage forward(const Weights& weights, const Passage& at) const;
  Tensor inverse(const Weights& weights, const Tensor& y) const;
};

// Invertible 1 x 1 convolution (3.2 and eq. 11 there): y = W x at each place, W = P L (U + diag(exp(s))), L
// unit lower and U strictly upper triangular; log |det| = places sum(s). P reverses the channels, so that the
// halves of the next coupling change places even where W is otherwise the identity. At the start W is a
// random orthogonal matrix.
struct Rotation {
  std::string name;
  int64_t channels;

  void initialise(Weights& weights, Noise& noise) const;
  Tensor matrix(const Weights& weights) const;  // W
  Passage forward(const Weights& weights, const Passage& at) const;
  Tensor inverse(const Weights& weights, const Tensor& y) const;
};

// Layers with SiLU between them; the last one is zero at the start. On vectors the hidden layers' weights and
// biases have the variance 2 / in (He et al. 2015): smaller weights, or biases of zero, start from functions
// so near to linear ones that a density of several modes is learned much more slowly.
struct CouplingNet {
  std::vector<layers::Convolution> layers;  // kernel 1 for vectors
  std::shared_ptr<Buffers> buffers = std::make_shared<Buffers>();

  void initialise(Weights& weights, Noise& noise) const;
  // (B, ..., in) -> (B, ..., out); places: (H, W), empty for vectors
  using Bound = std::function<Tensor(const Tensor& x)>;
  Bound bind(const Weights& weights, at::IntArrayRef places) const;

 private:
  Bound planned(const Weights& weights, at::IntArrayRef places) const;
};

// Affine coupling (Dinh et al. 2017, eq. 7 and 8): of the halves a, b of the channels
//   y_a = a,  y_b = exp(s(a)) b + t(a),  log |det| = sum s,  s = bound tanh(.).
struct Coupling {
  int64_t channels;
  bool changes_first;  // b is the first half, a the second; otherwise the other way round
  double bound;
  CouplingNet net;

  // hidden: the net's layers but the last, whose kernel is `last_kernel`
  struct Layer {
    int64_t out, kernel;
  };
  Coupling(const std::string& name, int64_t channels, bool changes_first, double bound,
           const std::vector<Layer>& hidden, int64_t last_kernel);

  void initialise(Weights& weights, Noise& noise) const { net.initialise(weights, noise); }
  std::vector<int64_t> sizes() const { return {channels / 2, channels - channels / 2}; }
};

class BoundCoupling {
 public:
  // places: as of CouplingNet::bind
  BoundCoupling(Coupling coupling, const Weights& weights, at::IntArrayRef places)
      : coupling_(std::move(coupling)), net_(coupling_.net.bind(weights, places)) {}
  Passage forward(const Passage& at) const;
  Tensor inverse(const Tensor& y) const;

 private:
  struct Affine {
    Tensor log_scale, shift;
  };
  Affine affine(const Tensor& a) const;
  Coupling coupling_;
  CouplingNet::Bound net_;
};

}  // namespace tweedie::flows
