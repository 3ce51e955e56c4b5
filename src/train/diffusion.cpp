#include "tweedie/diffusion.h"

#include "core/shape.h"
#include "network/mixed_precision.h"
#include "train/denoising.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

void require_positive(const char* field, double value) {
  if (!(value > 0 && std::isfinite(value)))
    throw Error(field, fmt::format("{}: a positive number is needed", value));
}

void check_normal_levels(double p_mean, double p_std) {
  if (!std::isfinite(p_mean))
    throw Error("train.p_mean", fmt::format("{}: a finite number is needed", p_mean));
  if (!(p_std >= 0 && std::isfinite(p_std)))
    throw Error("train.p_std", fmt::format("{}: a number of at least 0 is needed", p_std));
}

void check(const EdmObjective& o) {
  check_normal_levels(o.p_mean, o.p_std);
}
void check(const DdpmObjective& o) {
  std::visit([](const auto& path) { alpha_bar(path); }, o.path);
}
void check(const NcsnObjective& o) {
  require_positive("train.sigma_min", o.sigma_min);
  require_positive("train.sigma_max", o.sigma_max);
  if (o.sigma_max < o.sigma_min) {
    throw Error("train.sigma_max",
                fmt::format("{}: at least train.sigma_min = {} is needed", o.sigma_max, o.sigma_min));
  }
  if (o.levels && *o.levels < 1)
    throw Error("train.levels", fmt::format("{}: at least 1 is needed", *o.levels));
}
void check(const FlowMatchingObjective&) {}
void check(const DsmObjective& o) {
  require_positive("train.sigma", o.sigma);
}
void check(const IsmObjective& o) {
  check_normal_levels(o.p_mean, o.p_std);
}
void check(const SsmObjective& o) {
  check_normal_levels(o.p_mean, o.p_std);
  if (o.projections < 1)
    throw Error("train.projections", fmt::format("{}: at least 1 is needed", o.projections));
}

NetworkOutput output_of(const DdpmObjective& o) {
  switch (o.prediction) {
    case DdpmObjective::Prediction::noise:
      return NetworkOutput::noise;
    case DdpmObjective::Prediction::data:
      return NetworkOutput::data;
    case DdpmObjective::Prediction::velocity:
      return NetworkOutput::velocity;
  }
  return NetworkOutput::noise;
}
NetworkOutput output_of(const NcsnObjective&) {
  return NetworkOutput::noise;
}
NetworkOutput output_of(const FlowMatchingObjective&) {
  return NetworkOutput::flow;
}
template <class Other>
NetworkOutput output_of(const Other&) {
  return NetworkOutput::edm;
}

// Medians of the tenths of an objective's levels, without repetitions
std::vector<double> tenths(const Objective& objective, double sigma_data) {
  const Tensor u = (at::arange(10, at::kDouble) + 0.5) / 10;
  const Tensor sigma =
      std::visit([&](const auto& o) { return level_quantile(o, sigma_data, u); }, objective).contiguous();
  std::vector<double> result(sigma.data_ptr<double>(), sigma.data_ptr<double>() + 10);
  std::sort(result.begin(), result.end());
  result.erase(std::unique(result.begin(), result.end()), result.end());
  return result;
}

// Whether the loss is a regression on the clean x, which needs values of the network alone
bool regresses(const Objective& objective) {
  return !std::holds_alternative<IsmObjective>(objective) && !std::holds_alternative<SsmObjective>(objective);
}

}  // namespace

void check_objective(const Objective& objective) {
  std::visit([](const auto& o) { check(o); }, objective);
}

NetworkOutput network_output(const Objective& objective) {
  return std::visit([](const auto& o) { return output_of(o); }, objective);
}

int64_t network_outputs(const Objective& objective) {
  const auto* ddpm = std::get_if<DdpmObjective>(&objective);
  return ddpm != nullptr && ddpm->learn_variance ? 2 : 1;
}

DiffusionModel::DiffusionModel(std::shared_ptr<const Network> network, Objective objective, double sigma_data,
                               double label_dropout)
    : network_(std::move(network)),
      objective_(std::move(objective)),
      sigma_data_(sigma_data),
      label_dropout_(label_dropout) {
  require_positive("train.sigma_data", sigma_data);
  // At 0 what stands for no label, at 1 the labels would never be trained.
  if (!(label_dropout > 0 && label_dropout < 1))
    throw Error("model.label_dropout", fmt::format("{}: above 0 and below 1 is meant", label_dropout));
  check_objective(objective_);
  if (network_->outputs() != network_outputs(objective_)) {
    throw Error("network", fmt::format("{} outputs, but the objective needs {}", network_->outputs(),
                                       network_outputs(objective_)));
  }
  levels_ = tenths(objective_, sigma_data);
}

at::ScalarType DiffusionModel::gpu_dtype() const {
  return regresses(objective_) ? at::kBFloat16 : at::kFloat;
}

Weights DiffusionModel::initialise(Noise noise, const Tensor&) const {
  return network_->initialise(std::move(noise));
}

Trainable::Loss DiffusionModel::bind(const Weights& weights, at::ScalarType dtype) const {
  // Losses that differentiate the network take its float32 form.
  const bool narrow_layers = dtype == at::kBFloat16 && !regresses(objective_);
  return [this, weights, bound = network_->bind(weights, dtype), narrow_layers](const Batch& batch,
                                                                                Noise& noise) {
    const Bf16Products narrow(narrow_layers);
    Shape per_row(batch.x.dim(), 1);
    per_row[0] = batch.x.size(0);
    const Tensor u = noise.uniform(per_row, at::kFloat).to(batch.x.device());
    const Tensor sigma =
        batch.level
            ? at::full_like(u, *batch.level)
            : std::visit([&](const auto& o) { return level_quantile(o, sigma_data_, u); }, objective_);
    Tensor labels;
    if (network_->classes() > 0 && batch.labels.defined()) {
      labels = batch.labels;
      if (!batch.level) {
        const Tensor hidden =
            noise.uniform({batch.x.size(0)}, at::kFloat).to(labels.device()) < label_dropout_;
        labels = at::where(hidden, at::full_like(labels, network_->classes()), labels);
      }
    }
    const DiffusionTask task{*network_, weights, bound, sigma_data_, labels};
    return std::visit([&](const auto& o) { return objective_loss(o, task, batch.x, sigma, noise); },
                      objective_);
  };
}

std::shared_ptr<const Denoiser> DiffusionModel::denoiser(const Weights& weights, const Tensor& labels) const {
  const NetworkPredictor predictor(network_, weights);
  return std::make_shared<NetworkDenoiser>(
      std::make_shared<NetworkPredictor>(labels.defined() ? predictor.labelled(labels) : predictor),
      sigma_data_, network_->shape(), network_output(objective_));
}

double Trainable::terms() const {
  return static_cast<double>(product(shape()));
}

}  // namespace tweedie
