#pragma once
// The encoders and decoders of variational autoencoders, as functions of their weights.

#include "network/layers.h"
#include "tweedie/vae.h"

namespace tweedie {

// N(mean, diag exp(log_variance)), each (B, *latent_shape)
struct DiagonalGaussian {
  Tensor mean, log_variance;
};

// KL(q || N(0, I)) = 1/2 sum (mean^2 + s^2 - 1 - ln s^2), (B)
Tensor kl_from_standard(const DiagonalGaussian& q);
// mean + s eps
Tensor reparametrised(const DiagonalGaussian& q, const Tensor& eps);

class VaeCoder {
 public:
  virtual ~VaeCoder() = default;
  virtual Shape latent_shape() const = 0;
  virtual void initialise(Weights& weights, Noise& noise) const = 0;
  // x: (B, *shape) in the scale's units
  virtual DiagonalGaussian encode(const Weights& weights, const Tensor& x) const = 0;
  virtual Tensor decode(const Weights& weights, const Tensor& z) const = 0;
};

// What `automatic` stands for
VaeOptions::Architecture vae_architecture(const VaeOptions& options, const Shape& shape);

// Throws Error on options that are out of range or don't fit the shape.
std::shared_ptr<const VaeCoder> make_coder(const VaeOptions& options, const Shape& shape);

}  // namespace tweedie
