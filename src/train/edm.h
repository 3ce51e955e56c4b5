#pragma once
// Karras et al. 2022, table 1: the preconditioning and the weighted loss of one slice of a batch.

#include "tweedie/network.h"
#include "tweedie/train.h"

namespace tweedie {

// x: (B, *shape) clean, in float32; noise: for these rows. The mean over the batch and dimensions of
// the weighted loss is the sum of what the slices return divided by (batch x dimension).
Tensor edm_loss(const EdmObjective& objective, const Network::Bound& network, double sigma_data,
                const Tensor& x, Noise& noise);

}  // namespace tweedie
