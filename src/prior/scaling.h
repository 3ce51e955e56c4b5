#pragma once

#include "tweedie/predictor.h"

namespace tweedie {

// network_scaling of one noise level
struct LevelScaling {
  double c_skip, c_out, c_in, c_noise;
};
LevelScaling network_scaling(NetworkOutput output, double sigma, double sigma_data);

}  // namespace tweedie
