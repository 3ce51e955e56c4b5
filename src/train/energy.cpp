// Energy-based models. With z = (x - mean) / std,
//   E(z) = U(z) + |z|^2 / 2,  U a network   (a tilted N(0, I), Xie, Lu, Zhu and Wu 2016)
//   E(z) = U(z) = |L^T (z - b)|^2 / 2       (quadratic: the Gaussian N(b, (L L^T)^{-1}))
// grad of log-likelihood = E_model grad_weights U - E_data grad_weights U. The model's expectation is that of
// chains that moved k times,
//   z <- z - gamma grad E(z) + sqrt(2 gamma) n,
// from the data (contrastive divergence, Hinton 2002) or from where they were a step ago (persistent ones,
// Tieleman 2008), some of which start anew (Du and Mordatch 2019).
//
// What is fitted to the data is the law of these chains. For the quadratic energy it is N(b, .) with variance
// v / (1 - gamma / (2 v)) in the direction where that of exp(-E) is v. The networks have bounded slopes, so
// that the Gaussian wins far out: exp(-E) has a finite integral and chains return, for gamma < 2.

#include "tweedie/energy.h"

#include "core/langevin.h"
#include "core/shape.h"
#include "network/mixed_precision.h"
#include "network/readout.h"
#include "train/standardise.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {

class EnergyFunction {
 public:
  virtual ~EnergyFunction() = default;
  virtual Weights initialise(Noise noise) const = 0;
  // z: (B, *shape) float32 -> (B)
  virtual Tensor learned(const Weights& weights, const Tensor& z) const = 0;
  virtual Tensor total(const Weights& weights, const Tensor& z) const = 0;

  // -E and -grad E; no gradient of the weights
  LogDensity log_density(const Weights& weights, const Tensor& z) const {
    const at::AutoGradMode gradients(true);
    const Tensor input = z.detach().requires_grad_();
    const Tensor energy = total(weights, input);
    return {-energy.detach().to(at::kCPU, at::kDouble),
            torch::autograd::grad({energy.sum()}, {input})[0].neg()};
  }
};

namespace {

class NetworkEnergy final : public EnergyFunction {
 public:
  explicit NetworkEnergy(std::shared_ptr<const Readout> readout) : readout_(std::move(readout)) {}
  Weights initialise(Noise noise) const override { return readout_->initialise(std::move(noise)); }
  Tensor learned(const Weights& weights, const Tensor& z) const override {
    return (*readout_)(weights, z).squeeze(1);
  }
  Tensor total(const Weights& weights, const Tensor& z) const override {
    return learned(weights, z) + z.flatten(1).square().sum(1) / 2;
  }

 private:
  std::shared_ptr<const Readout> readout_;
};

class QuadraticEnergy final : public EnergyFunction {
 public:
  explicit QuadraticEnergy(int64_t dimension) : dimension_(dimension) {}
  Weights initialise(Noise) const override {
    Weights weights;
    weights.add("mean", at::zeros({dimension_}));
    weights.add("factor", at::eye(dimension_));
    return weights;
  }
  Tensor learned(const Weights& weights, const Tensor& z) const override {
    return (z.flatten(1) - weights["mean"]).matmul(weights["factor"]).square().sum(1) / 2;
  }
  Tensor total(const Weights& weights, const Tensor& z) const override { return learned(weights, z); }

 private:
  int64_t dimension_;
};

std::shared_ptr<const EnergyFunction> checked_energy(const EnergyOptions& o, const Shape& shape,
                                                     const DataScale& scale) {
  const auto at_least_1 = [](const char* field, int64_t value) {
    if (value < 1) throw Error(field, fmt::format("{}: at least 1 is needed", value));
  };
  at_least_1("model.langevin_steps", o.langevin_steps);
  at_least_1("model.chains", o.chains);
  at_least_1("model.sampler_steps", o.sampler_steps);
  if (!(o.step_size > 0 && o.step_size < 2))
    throw Error("model.step_size", fmt::format("{}: above 0 and below 2 is meant", o.step_size));
  if (!(o.reinitialise >= 0 && o.reinitialise <= 1))
    throw Error("model.reinitialise", fmt::format("{}: 0 to 1 is meant", o.reinitialise));
  if (!(o.energy_l2 >= 0 && std::isfinite(o.energy_l2)))
    throw Error("model.energy_l2", fmt::format("{}: a number of at least 0 is needed", o.energy_l2));
  require_scale(scale);
  if (o.quadratic) return std::make_shared<QuadraticEnergy>(product(shape));
  return std::make_shared<NetworkEnergy>(make_readout({.width = o.width, .depth = o.depth}, shape, 1));
}

Weights detached(const Weights& weights) {
  std::vector<Tensor> tensors;
  for (const Tensor& tensor : weights.tensors()) tensors.push_back(tensor.detach());
  return weights.with(std::move(tensors));
}

// Throws Error on a chain that left the finite numbers.
void require_on_course(const Tensor& z, double step_size) {
  if (z.isfinite().all().item<bool>()) return;
  throw Error("model.step_size",
              fmt::format("{}: a Langevin chain diverged; a smaller step or a lower train.learning_rate is "
                          "needed",
                          step_size));
}

// A share of the chains anew from N(0, I)
Tensor restarted(const Tensor& chains, double share, Noise& noise) {
  const Tensor fresh = noise.normal_like(chains);
  Shape per_chain(chains.dim(), 1);
  per_chain[0] = chains.size(0);
  const Tensor restart = noise.uniform(per_chain, at::kFloat).to(chains.device()) < share;
  return at::where(restart, fresh, chains);
}

}  // namespace

EnergyTraining::EnergyTraining(const EnergyOptions& options, const Shape& shape, const DataScale& scale)
    : options_(options), shape_(shape), scale_(scale), energy_(checked_energy(options, shape, scale)) {}

Weights EnergyTraining::initialise(Noise noise, const Tensor&) const {
  return energy_->initialise(std::move(noise));
}

Tensor EnergyTraining::chains(int64_t batch, const Tensor&, Noise noise) const {
  if (options_.negatives == EnergyOptions::Negatives::contrastive) return {};
  const int64_t parts = (options_.chains + batch - 1) / batch;
  return noise.normal(with_batch(parts * batch, shape_), at::kFloat);
}

Trainable::Loss EnergyTraining::bind(const Weights& weights, at::ScalarType dtype) const {
  return [this, weights, frozen = detached(weights), dtype](const Batch& batch, Noise& noise) {
    const Bf16Products narrow(dtype == at::kBFloat16);
    const Tensor data = standardised(batch.x, scale_);
    Tensor negative = batch.chains.defined()
                          ? restarted(batch.chains.to(data.device()), options_.reinitialise, noise)
                          : data;
    for (int64_t k = 0; k < options_.langevin_steps; ++k) {
      negative =
          langevin_move(negative, energy_->log_density(frozen, negative).gradient, options_.step_size, noise);
    }
    require_on_course(negative, options_.step_size);
    if (batch.chains.defined()) batch.chains.copy_(negative);

    const Tensor of_data = energy_->learned(weights, data), of_model = energy_->learned(weights, negative);
    const Tensor squares = of_data.square() + of_model.square();
    return (of_data - of_model + options_.energy_l2 * squares).sum();
  };
}

EnergyModel::EnergyModel(const EnergyOptions& options, const Shape& shape, const DataScale& scale,
                         Weights weights)
    : options_(options),
      shape_(shape),
      scale_(scale),
      weights_(std::move(weights)),
      energy_(checked_energy(options, shape, scale)) {
  require_weights(weights_, energy_->initialise(Noise(0)));
}

Tensor EnergyModel::energy(const Tensor& x) const {
  require_real(x, "x");
  require_batch_of(x, shape_, "x");
  require_finite(x, "x");
  const at::NoGradGuard no_gradients;
  std::vector<Tensor> parts{at::empty({0}, at::kDouble)};
  for (const Tensor& rows : x.split(rows_together(shape_)))
    parts.push_back(energy_->total(weights_, standardised(rows.to(at::kFloat), scale_)).to(at::kDouble));
  return at::cat(parts);
}

Tensor EnergyModel::do_sample(int64_t rows, const Tensor&, Noise& noise) const {
  const Target target = [&](const Tensor& z) { return energy_->log_density(weights_, z); };
  ChainState state{noise.normal(with_batch(rows, shape_), at::kFloat), {}};
  if (options_.sampler == EnergyOptions::Sampler::mala) state = start_chain(target, state.x);
  for (int64_t k = 0; k < options_.sampler_steps; ++k) {
    switch (options_.sampler) {
      case EnergyOptions::Sampler::ula:
        state.x = langevin_move(state.x, target(state.x).gradient, options_.step_size, noise);
        break;
      case EnergyOptions::Sampler::mala:
        mala_move(target, state, options_.step_size, noise);
        break;
    }
  }
  require_on_course(state.x, options_.step_size);
  return in_data_units(state.x, scale_);
}

}  // namespace tweedie
