#pragma once
// A model of small images as the prior of large ones.

#include "run/configs.h"

namespace tweedie {

// The prior, with the size of x in `tile` where the config leaves it to the measurement: that of the
// truth, of a mask, or of y where the operator says how they differ. Error("prior.tile.size") where none of
// them tells.
PriorConfig with_size_of_x(const PriorConfig& prior, const MeasurementConfig& measurement);

}  // namespace tweedie
