#pragma once
// Diffusion and score models: a network and an objective are something to train, and its weights a denoiser.

#include "tweedie/denoiser.h"
#include "tweedie/objective.h"
#include "tweedie/trainable.h"

#include <memory>

namespace tweedie {

class DiffusionModel final : public Trainable {
 public:
  // sigma_data: standard deviation of the data, > 0. label_dropout: the share of rows whose label is hidden
  // in training, so that the network also learns p(x) (Ho and Salimans 2022); in (0, 1). Throws Error on
  // options out of range.
  DiffusionModel(std::shared_ptr<const Network> network, Objective objective, double sigma_data,
                 double label_dropout = 0.1);

  Shape shape() const override { return network_->shape(); }
  Weights initialise(Noise noise, const Tensor& rows) const override;
  Loss bind(const Weights& weights, at::ScalarType dtype) const override;
  at::ScalarType gpu_dtype() const override;
  // Ten of the objective's own: the medians of its tenths
  std::vector<double> levels() const override { return levels_; }

  // D(x; sigma) of these weights, computed in their dtype; labels: (1) or (B), or undefined
  std::shared_ptr<const Denoiser> denoiser(const Weights& weights, const Tensor& labels = {}) const;

 private:
  std::shared_ptr<const Network> network_;
  Objective objective_;
  double sigma_data_, label_dropout_;
  std::vector<double> levels_;
};

}  // namespace tweedie
