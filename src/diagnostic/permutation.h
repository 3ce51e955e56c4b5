#pragma once
// The permutation test of equal laws that all kernels share.

#include "tweedie/metrics.h"

#include <functional>
#include <string>

namespace tweedie {

// Of MMD^2 for a kernel that is a function of the distance: the share of random splits of both sets together,
// the sets themselves among them, whose MMD^2 is at least that of the sets. kernel is given all distances at
// once, (n + m, n + m). Weighted sets are resampled and long ones thinned first.
double permutation_p_value(const SampleSet& a, const SampleSet& b, const PermutationOptions& options,
                           const std::function<Tensor(const Tensor&)>& kernel, const std::string& place);

}  // namespace tweedie
