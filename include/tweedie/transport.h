#pragma once
// Optimal transport between two sets of draws in any dimension, with the proof that it is optimal.

#include "tweedie/sample_set.h"

namespace tweedie {

// The largest number of draws in a set: memory and time grow with its square and more.
constexpr int64_t transport_max_rows = 4000;

// The plan of least sum_ij plan_ij |x_i - y_j|^p. The potentials prove it optimal: potential_a_i +
// potential_b_j <= |x_i - y_j|^p for all pairs, so that no plan costs less than `dual`, the sum of both
// potentials under the sets' weights. On the plan's pairs the two sides are equal, up to 2^-48 of the largest
// cost (complementary slackness).
struct Transport {
  double distance;  // W_p = cost^(1/p)
  double cost;
  double dual;                      // <= cost, but for rounding; cost - dual is what any plan could save
  Tensor row_a, row_b, mass;        // (k), k < n + m: mass goes from draw row_a to draw row_b
  Tensor potential_a, potential_b;  // (n), (m)
  int64_t pivots;
};

// Any sizes up to transport_max_rows and any weights, which count to 2^-53; p >= 1.
Transport optimal_transport(const SampleSet& a, const SampleSet& b, double p = 2);

struct SinkhornOptions {
  double epsilon = 0.05;          // > 0, over the mean of |x - y|^2 between the sets
  int64_t max_iterations = 1000;  // at the final epsilon, of each of three problems
  double tolerance = 1e-4;        // on the sum of the errors of the plan's row sums, which should sum to 1
};

struct SinkhornDivergence {
  double divergence;      // squared units; tends to W_2^2 as epsilon -> 0, and 0 for equal sets
  double epsilon;         // in squared units
  int64_t iterations;     // the most of the three problems
  double marginal_error;  // the largest of the three
  bool converged;         // marginal_error <= tolerance
};

// OT(a, b) - OT(a, a) / 2 - OT(b, b) / 2 with OT the entropic cost for |x - y|^2 (Feydy et al. 2019), up to
// transport_max_rows draws each.
SinkhornDivergence sinkhorn_divergence(const SampleSet& a, const SampleSet& b,
                                       const SinkhornOptions& options = {});

}  // namespace tweedie
