#pragma once
// What infer and diagnose share: an inference set up, and run at any number of steps.

#include "run/measurement.h"
#include "run/prior.h"

namespace tweedie {

struct Inference {
  LoadedPrior prior;
  Measured measured;
  int64_t steps;  // of the sampler; 0 for methods without one
};

Inference set_up(const InferConfig& config, const RunContext& context);

// The first `draws` draws of the first `cases` cases, at `steps` steps; draw d of case c has the same noise
// always.
Draws run_inference(const Inference& inference, const InferConfig& config, const RunContext& context,
                    int64_t steps, int64_t draws, int64_t cases);

}  // namespace tweedie
