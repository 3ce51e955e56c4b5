#pragma once
// Methods that give one answer for each y instead of draws, and what they tell of how they got there.

#include "tweedie/tensor.h"

#include <optional>
#include <vector>

namespace tweedie {

// How the weight of a regularised least squares problem, min 1/2 ||A x - y||^2 + weight R(x), is chosen where
// none is given.
enum class WeightRule {
  discrepancy,  // Morozov 1966: ||y - A x||^2 = m noise_std^2, m the size of y
  sure,         // Stein 1981: least estimate of E ||A x - A x_true||^2
  l_curve,      // Hansen 1992: the corner of (log ||y - A x||, log R(x)); needs no noise_std
};
struct WeightOptions {
  std::optional<double> weight;  // > 0
  WeightRule rule = WeightRule::discrepancy;
};

// One weight that was tried.
struct WeightTrial {
  double weight, residual2, penalty;  // residual2: ||y - A x||^2
  double score;  // what the rule looks at: residual2 / (m noise_std^2), SURE / m, or the curvature
};

// Of each case; float64 of shape (cases) but where said otherwise.
struct PointRecord {
  Tensor iterations;  // int64
  Tensor objective;   // what was minimised, where it ended; NaN for methods that minimise nothing
  Tensor residual;    // what the stopping rule looks at, where it ended; NaN without one
  Tensor converged;   // bool
  Tensor weight;      // undefined for methods without one
  std::vector<std::vector<WeightTrial>> trials;  // of the rule, in the order of the weight
};

}  // namespace tweedie
