#pragma once
// Chains as their diagnostics see them: (J, chains, draws) float64 on the CPU, one coordinate after the
// other.

#include "tweedie/tensor.h"

#include <string>

namespace tweedie {

// (draws, chains, *shape) -> (J, chains, draws). Throws Error(place) on fewer than 4 draws, NaN and infinity.
Tensor chain_rows(const Tensor& chains, const std::string& place);
// (J) -> (*shape) of those chains
Tensor of_shape(const Tensor& values, const Tensor& chains);
// The halves of each chain as chains of their own, the middle draw of an odd number left out.
Tensor halves(const Tensor& rows);
// Normal quantiles of the ranks r among the S draws of a coordinate, Phi^-1((r - 3/8) / (S + 1/4)) (Blom
// 1958); ties share their mean rank.
Tensor rank_normalised(const Tensor& rows);
// (J) bool: not all draws of the coordinate are equal
Tensor varies(const Tensor& rows);
// Effective number of draws of (J, chains, draws): (J), the chains as they are
Tensor effective_number(const Tensor& rows);
// Quantiles of all draws of each coordinate, interpolated linearly between order statistics: (J)
Tensor pooled_quantile(const Tensor& rows, double probability);

}  // namespace tweedie
