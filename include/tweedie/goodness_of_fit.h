#pragma once
// Does a mixture that was learned from the counts of classes explain them?

#include "tweedie/mixture_fit.h"

namespace tweedie {

struct GoodnessOfFit {
  double chi2 = 0;                 // sum over classes of (count - expected)^2 / expected
  int64_t classes = 0;             // after those that expect too few were joined with their neighbours
  int64_t degrees_of_freedom = 0;  // classes - 1 - free parameters
  // P(chi2 of these degrees > chi2), where there are any. The fit used all classes, not the joined ones, so
  // it has fewer than one degree for each parameter to itself: this is a lower bound for many rows, and that
  // with classes - 1 degrees an upper one (Chernoff and Lehmann 1954).
  std::optional<double> p_value;
  Tensor expected;  // (n) float64, of all rows; the outer classes with what lies beyond them
};

// edges: (n + 1), counts: (n), as for fit_grouped_mixture, whose result `fit` is. least_expected >= 1: of a
// class, by default the customary 5. Throws Error unless edges and counts are right and fit has d = 1.
GoodnessOfFit goodness_of_fit(const Tensor& edges, const Tensor& counts, const MixtureFit& fit,
                              double least_expected = 5);

}  // namespace tweedie
