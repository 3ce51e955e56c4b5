#pragma once
// The density of a denoiser's prior, from the instantaneous change of variables along the probability-flow
// ODE: Chen et al. 2018 (neural ODE), theorem 1; Song et al. 2021 (score SDE), section 4.3.

#include "tweedie/denoiser.h"
#include "tweedie/noise.h"

#include <optional>

namespace tweedie {

enum class Divergence {
  exact,       // d vjps for each evaluation
  hutchinson,  // one for each probe: unbiased for log p
};

struct FlowDensityOptions {
  double sigma_min = 0.002;  // > 0: the level at which the density is that of
  double sigma_max = 80;     // > sigma_min: where it is known
  double tolerance =
      1e-5;  // > 0: allowed error of a step: of x relative to its size, of log p in nats per dimension
  Divergence divergence = Divergence::exact;
  int64_t probes = 1;        // >= 1: of hutchinson
  double data_std = 1;       // >= 0: p at sigma_max is taken as N(0, (sigma_max^2 + data_std^2) I) for a
                             // denoiser that is no AnalyticPrior, whose own density is used
  int64_t max_steps = 1000;  // >= 1, for each row, rejected ones too
};

struct FlowDensity {
  Tensor log_prob;                       // log p_{sigma_min}(x) in nats, (B) float64; NaN where not converged
  std::optional<Tensor> standard_error;  // of two or more probes, (B)
  Tensor evaluations;                    // of D, (B) int64
  Tensor converged;                      // (B) bool
};

// x: (B, *shape) float32 or float64, finite; integrated in float64. Each row has a level and a step of its
// own, so that no row's result depends on the others'.
FlowDensity flow_log_prob(const Denoiser& denoiser, const Tensor& x, const FlowDensityOptions& options,
                          const Noise& noise);

}  // namespace tweedie
