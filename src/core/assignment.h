#pragma once
// The linear assignment problem.

#include "tweedie/tensor.h"

namespace tweedie {

// cost: (n, n) float64, finite. The permutation p of least sum_i cost(i, p_i), by shortest augmenting paths
// in O(n^3): Jonker and Volgenant 1987, "A shortest augmenting path algorithm for dense and sparse linear
// assignment problems".
std::vector<int64_t> least_cost_assignment(const Tensor& cost);

}  // namespace tweedie
