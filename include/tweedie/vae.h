#pragma once
// The variational autoencoder (Kingma and Welling 2014): x = decoder(z) + sigma n, z ~ N(0, I), with an
// encoder q(z | x) = N(mean, diag) that bounds the likelihood.

#include "tweedie/data_scale.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/generative.h"
#include "tweedie/trainable.h"

#include <array>
#include <memory>

namespace tweedie {

struct VaeOptions {
  static constexpr const char* kind = "vae";
  enum class Architecture {
    automatic,      // convolutional for images whose sides can be halved that often, mlp for all else
    linear,         // affine encoder and decoder, variances of q the same for all x: probabilistic PCA
    mlp,            // z is a vector
    convolutional,  // of images; z is a vector
    feature_map,    // of images; z is a map of `latent` channels, for latent diffusion
  };
  Architecture architecture = Architecture::automatic;
  int64_t latent = 2;     // dimension of z; of a feature map, its channels
  int64_t width = 256;    // mlp: of each hidden layer
  int64_t depth = 2;      // mlp: hidden layers of encoder and decoder each
  int64_t channels = 32;  // convolutions: at full resolution, doubled with each halving
  int64_t halvings = 2;   // convolutions: of both sides of the image
  double kl_weight = 1;   // of the KL divergence in the loss; 1: -ELBO; small: nearly a plain autoencoder
  int64_t importance_samples = 64;  // draws of z for each likelihood
};
constexpr auto names(VaeOptions::Architecture) {
  return std::array{"auto", "linear", "mlp", "convolutional", "feature-map"};
}

class VaeCoder;  // encoder and decoder

// Loss: -ELBO in nats, of rows in the data's units, with one reparametrised draw of z and the KL divergence
// in closed form. The decoder's variance sigma^2 is a weight (log sigma^2, of rows in the scale's units).
class Vae final : public Trainable {
 public:
  // Throws Error on options that are out of range or don't fit the shape.
  Vae(const VaeOptions& options, const Shape& shape, const DataScale& scale);

  Shape shape() const override { return shape_; }
  Shape latent_shape() const;
  Weights initialise(Noise noise, const Tensor& rows) const override;
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;

 private:
  Shape shape_;
  DataScale scale_;
  double kl_weight_;
  std::shared_ptr<const VaeCoder> coder_;
};

// Draws are x = decoder(z) + sigma n, noise included. Its likelihood is exact for the linear architecture, by
// importance sampling for the others: log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x), z_k ~ q (Burda et al.
// 2016), which is below log p(x) on average and nears it as K grows.
class TrainedVae final : public GenerativeModel {
 public:
  // kind: elbo (the KL divergence in closed form, K draws for the rest), iwae, or exact (linear only). Throws
  // Error on another kind, and on weights that are not those of these options.
  TrainedVae(const VaeOptions& options, const Shape& shape, const DataScale& scale, const Weights& weights,
             std::optional<LikelihoodKind> kind = {});

  Shape shape() const override { return shape_; }
  std::optional<LikelihoodKind> likelihood() const override { return kind_; }
  Shape latent_shape() const;
  double noise_std() const;  // sigma, in the data's units
  // N(m, W W^T + sigma^2 I), of the linear architecture alone
  const std::optional<GaussianPrior>& marginal() const { return marginal_; }

  // The mean of q(z | x): (N, *shape), N >= 1 -> (N, *latent_shape) float32
  Tensor encode(const Tensor& x, int64_t threads = 0) const;
  // E[x | z], without noise: (N, *latent_shape) -> (N, *shape) float32
  Tensor decode(const Tensor& z, int64_t threads = 0) const;

 protected:
  Tensor do_sample(int64_t rows, const Tensor& labels, Noise& noise) const override;
  Tensor do_log_likelihood(const Tensor& x, Noise& noise) const override;

 private:
  Tensor decoded(const Tensor& z) const;
  Tensor log_prob_given(const Tensor& x, const Tensor& z) const;

  Shape shape_;
  DataScale scale_;
  int64_t importance_samples_;
  LikelihoodKind kind_;
  std::shared_ptr<const VaeCoder> coder_;
  Weights weights_;
  std::optional<GaussianPrior> marginal_;
};

}  // namespace tweedie
