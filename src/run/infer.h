#pragma once
// What infer and diagnose share: an inference set up, and run at any number of steps.

#include "run/measurement.h"
#include "run/prior.h"

namespace tweedie {

struct Finding;

struct Inference {
  LoadedPrior prior;  // its denoiser is null where the method goes without
  Measured measured;
  int64_t steps;  // of the sampler; 0 for methods without one
  std::optional<Measured> held_out{};
};

Inference set_up(const InferConfig& config, const RunContext& context);

// The first `draws` draws of the first `cases` cases, at `steps` steps; draw d of case c has the same noise
// always.
Draws run_inference(const Inference& inference, const InferConfig& config, const RunContext& context,
                    int64_t steps, int64_t draws, int64_t cases);

// Of each draw x (draws, cases, *shape) float64, (draws, cases); noise_std (draws, cases) where each draw has
// its own, else undefined
Tensor residual_chi2(const Measured& measured, const Tensor& x, const Tensor& noise_std = {});

// Do the draws x (draws, cases, *shape) float64 predict what was held out?
Finding judge_held_out(const Measured& held, const Tensor& x, uint64_t seed);

// x: (draws, cases, ...), log_weight: (draws, cases). As many draws that count the same, by systematic
// resampling; x itself where all weights are equal.
Tensor equally_weighted(const Tensor& x, const Tensor& log_weight, const Noise& noise);
// Mean and standard deviation over the weighted draws, (cases, ...); 0 where one draw has all the weight.
std::pair<Tensor, Tensor> weighted_moments(const Tensor& x, const Tensor& log_weight);

}  // namespace tweedie
