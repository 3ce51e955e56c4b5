#pragma once
// What a guided particle does at a step. Rows x, m: (R, d), float32 or float64, are weighted for and drawn
// towards targets in k of their coordinates, <basis_i, x>, for a basis (k, d) of orthonormal rows.

#include "tweedie/noise.h"

#include <vector>

namespace tweedie {

// One coordinate's factor of the weight, N(<basis_i, m>; target, after) / N(<basis_i, x>; target, before)
struct GuidedWeight {
  double target, before, after;
};

// The log weights (R), float64, with m = (1 - keep) denoised + keep x, which goes to `mean`.
Tensor weigh_rows(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                  const Tensor& denoised, double keep, const Tensor& mean);

// One coordinate's draw from N(m, std^2) N(target, variance), normalised:
//   N(K target + (1 - K) m, K variance),   K = std^2 / (std^2 + variance)
struct GuidedMove {
  double target;
  double gain;    // K, 1 where both variances are 0: nothing but the target decides
  double change;  // sqrt(K variance) - std: from the standard deviation of an unguided coordinate

  static GuidedMove towards(double target, double variance, double std);
};

// Draws, (parent's R, d): of N(mean[parent], std^2 I) but for the guided coordinates.
// mean: (N, d); parent: (R) int64
Tensor move_rows(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                 const Tensor& parent, double std, Noise& noise);

// The two ways to do it, to the rounding of sums: row by row, or for many coordinates by matrix products.
constexpr size_t few_guided = 8;  // at most, row by row
Tensor weigh_few(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                 const Tensor& denoised, double keep, const Tensor& mean);
Tensor weigh_many(const Tensor& basis, const std::vector<GuidedWeight>& weights, const Tensor& x,
                  const Tensor& denoised, double keep, const Tensor& mean);
Tensor move_few(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                const Tensor& parent, double std, Noise& noise);
Tensor move_many(const Tensor& basis, const std::vector<GuidedMove>& moves, const Tensor& mean,
                 const Tensor& parent, double std, Noise& noise);

}  // namespace tweedie
