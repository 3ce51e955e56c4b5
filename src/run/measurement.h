#pragma once
// A measurement ready for use: y, the likelihood, and the truth where it is known.

#include "run/configs.h"
#include "run/measured_file.h"
#include "tweedie/unknown_noise.h"

namespace tweedie {

struct Measured {
  Likelihood likelihood;
  Tensor y;                            // (cases, *codomain)
  bool many;                           // y came with an axis of cases
  Tensor truth;                        // (cases, *shape), or undefined
  Tensor unmeasured;                   // bool (*shape): where a mask hides x; undefined for other operators
  ArrayMeta like{};                    // of the file that x is most like: the truth's, else the measurement's
  std::optional<PixelRange> range{};   // that its pixels were scaled to, where it is a picture
  at::ScalarType dtype = at::kDouble;  // of y in its file, float32 or float64
  // Where the noise level is drawn with x; the likelihood has the one to start from
  std::optional<NoiseGibbsOptions> gibbs{};
  bool estimated = false;  // the likelihood's level is from y
};

// shape: of x, from the prior; prior_range: of its values, which pixels are scaled to unless config says
// otherwise
Measured load_measurement(const MeasurementConfig& config, const Shape& shape,
                          const std::optional<PixelRange>& prior_range = {});
// Where there is no prior: the shape of x is the one given, or the truth's, or that of y where the operator
// keeps it; the first that fits y. Throws Error where none does.
Measured load_measurement(const MeasurementConfig& config);

// y as a picture for each case, (cases, C, H, W) with NaN where nothing was measured; undefined when it is
// none.
Tensor picture_of(const Measured& measured, const Shape& shape);

}  // namespace tweedie
