#pragma once
// What the objectives share: their noise levels, and the weighted regression that most of them are.

#include "tweedie/diffusion.h"

namespace tweedie {

// A model at given weights, for one slice of a batch
struct DiffusionTask {
  const Network& network;
  const Weights& weights;
  const Network::Bound& bound;  // network at weights, fast and once differentiable
  double sigma_data;
  Tensor labels;  // after dropout; undefined without
};

// The z with P(N(0, 1) < z) = u in (0, 1), elementwise
Tensor normal_quantile(const Tensor& u);

// sigma of each row, (B, 1, ..., 1) like x: u, uniform on (0, 1), to the quantile of the objective's levels
Tensor level_quantile(const EdmObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const DdpmObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const NcsnObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const FlowMatchingObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const DsmObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const IsmObjective& objective, double sigma_data, const Tensor& u);
Tensor level_quantile(const SsmObjective& objective, double sigma_data, const Tensor& u);

// w(sigma) c_out(sigma)^2, what |F - target|^2 is multiplied with; undefined for 1
Tensor relative_weight(Weighting weighting, const Tensor& c_out, const Tensor& sigma, double sigma_data);

// sum over rows of w(sigma) |D(x + sigma n; sigma) - x|^2; sigma: (B, 1, ..., 1)
Tensor denoising_loss(const DiffusionTask& task, NetworkOutput output, Weighting weighting, const Tensor& x,
                      const Tensor& sigma, const Tensor& n);

// x with noise, and how a network of this output takes it
struct NoisyRows {
  Tensor x, sigma, n, y;  // y = x + sigma n
  Tensor input;           // c_in y
  Tensor target;  // (x - c_skip y) / c_out; noise's and flow's without the cancellation at small sigma
  NetworkScaling scaling;
};
NoisyRows noisy_rows(const DiffusionTask& task, NetworkOutput output, const Tensor& x, const Tensor& sigma,
                     const Tensor& n);
Tensor predict(const DiffusionTask& task, const NoisyRows& rows);  // the network, at y
// denoising_loss from a prediction
Tensor denoising_loss_of(const Tensor& prediction, const DiffusionTask& task, Weighting weighting,
                         const NoisyRows& rows);

// s(y; sigma), differentiable in y once and in the weights after that
Tensor differentiable_score(const DiffusionTask& task, const Tensor& y, const Tensor& sigma);

// The loss of an objective: sum over the rows of batch.x, noise that of these rows.
Tensor objective_loss(const EdmObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);
Tensor objective_loss(const DdpmObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);
Tensor objective_loss(const NcsnObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);
Tensor objective_loss(const FlowMatchingObjective&, const DiffusionTask&, const Tensor& x,
                      const Tensor& sigma, Noise& noise);
Tensor objective_loss(const DsmObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);
Tensor objective_loss(const IsmObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);
Tensor objective_loss(const SsmObjective&, const DiffusionTask&, const Tensor& x, const Tensor& sigma,
                      Noise& noise);

// Throws Error("train.FIELD") on options out of range.
void check_objective(const Objective& objective);

}  // namespace tweedie
