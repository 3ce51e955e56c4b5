#pragma once
// The density along the probability-flow ODE, of many rows.

#include "run/context.h"
#include "tweedie/flow_density.h"

namespace tweedie {

// flow_log_prob of x (B, *shape), in slices over threads: no bit of a row depends on the others or on the
// threads.
FlowDensity flow_in_slices(const Denoiser& denoiser, const Tensor& x, const FlowDensityOptions& options,
                           const Noise& noise, const RunContext& context);

}  // namespace tweedie
