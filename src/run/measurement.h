#pragma once
// A measurement ready for use: y, the likelihood, and the truth where it is known.

#include "run/configs.h"
#include "tweedie/unknown_noise.h"

namespace tweedie {

struct Measured {
  Likelihood likelihood;
  Tensor y;           // (cases, *codomain)
  bool many;          // y came with an axis of cases
  Tensor truth;       // (cases, *shape), or undefined
  Tensor unmeasured;  // bool (*shape): where a mask hides x; undefined for other operators
  // Where the noise level is drawn with x; the likelihood has the one to start from
  std::optional<NoiseGibbsOptions> gibbs;
  bool estimated = false;  // the likelihood's level is from y
};

// shape: of x, from the prior
Measured load_measurement(const InferConfig::Measurement& config, const Shape& shape);

// y as a picture for each case, (cases, C, H, W) with NaN where nothing was measured; undefined when it is
// none.
Tensor picture_of(const Measured& measured, const Shape& shape);

}  // namespace tweedie
