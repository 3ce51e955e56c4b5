#pragma once
// Energy-based models: p(x) proportional to exp(-E(x)), learned against draws of Langevin chains (contrastive
// divergence: Hinton 2002; persistent chains: Tieleman 2008; with networks for E: Du and Mordatch 2019).

#include "tweedie/data_scale.h"
#include "tweedie/generative.h"
#include "tweedie/trainable.h"

#include <array>
#include <memory>

namespace tweedie {

struct EnergyOptions {
  static constexpr const char* kind = "energy";
  enum class Negatives {
    contrastive,  // chains start at the rows of data in each step
    persistent,   // chains go on from step to step
  };
  enum class Sampler {
    ula,   // of the step that training used: the law that was fitted to the data
    mala,  // proportional to exp(-E) exactly
  };
  int64_t width = 128;  // vectors: of each hidden layer; images: channels at the lowest resolution, half as
                        // many at the one above it, and so on
  int64_t depth = 3;    // residual layers; images: resolutions, each half of the one before
  bool quadratic = false;  // a Gaussian in place of a network, with b and L learned: E = |L^T (x - b)|^2 / 2
  Negatives negatives = Negatives::persistent;
  int64_t langevin_steps = 20;  // of each chain in each training step, >= 1
  double step_size = 0.01;      // of Langevin moves, in units of the data's variance; in (0, 2)
  double reinitialise = 0.05;   // share of persistent chains restarted from N(0, I) in each step, in [0, 1]
  int64_t chains = 1024;        // persistent ones, rounded up to a multiple of the batch
  double energy_l2 = 1e-3;      // weight of the squared energies in the loss, >= 0
  Sampler sampler = Sampler::ula;
  int64_t sampler_steps = 1000;  // moves from N(0, I) to a draw, >= 1
};
constexpr auto names(EnergyOptions::Negatives) {
  return std::array{"contrastive", "persistent"};
}
constexpr auto names(EnergyOptions::Sampler) {
  return std::array{"ula", "mala"};
}

class EnergyFunction;  // of standardised rows z = (x - mean) / std

// Loss of a row of data z and its chain's row z': U(z) - U(z') + energy_l2 (U(z)^2 + U(z')^2), where U is the
// part of E that is learned. Rows held out have no chains: theirs start at the data. The loss measures no
// progress: it is about 0 when the model is right.
class EnergyTraining final : public Trainable {
 public:
  // Throws Error on options that are out of range or don't fit the shape.
  EnergyTraining(const EnergyOptions& options, const Shape& shape, const DataScale& scale);

  Shape shape() const override { return shape_; }
  Weights initialise(Noise noise, const Tensor& rows) const override;
  // The loss throws Error when a chain diverges.
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;
  double terms() const override { return 1; }
  Tensor chains(int64_t batch, const Tensor& rows, Noise noise) const override;  // standardised, N(0, I)

 private:
  EnergyOptions options_;
  Shape shape_;
  DataScale scale_;
  std::shared_ptr<const EnergyFunction> energy_;
};

// Has no likelihood: the integral of exp(-E) is not known.
class EnergyModel final : public GenerativeModel {
 public:
  // weights: float32. Throws Error on ones that are not of these options.
  EnergyModel(const EnergyOptions& options, const Shape& shape, const DataScale& scale, Weights weights);

  Shape shape() const override { return shape_; }
  // E of each row of x, (B) float64 in nats: -log p up to a constant. x: (B, *shape)
  Tensor energy(const Tensor& x) const;

 protected:
  Tensor do_sample(int64_t rows, const Tensor& labels, Noise& noise) const override;

 private:
  EnergyOptions options_;
  Shape shape_;
  DataScale scale_;
  Weights weights_;
  std::shared_ptr<const EnergyFunction> energy_;
};

}  // namespace tweedie
