#pragma once
// Tests of equal laws: a distance, and the p-value of it from permutations.

#include "tweedie/metrics.h"

#include <optional>
#include <vector>

namespace tweedie {

struct MmdOptions {
  std::vector<double> factors = {0.5, 1, 2};  // > 0: the kernel is the mean over h = factor * bandwidth
  std::optional<double> bandwidth;            // > 0; by default the median distance within both sets together
  uint64_t seed = 0;                          // of the draws, at most 1000 a set, that the median is of
};

// Gretton et al. 2012: E k(X, X') + E k(Y, Y') - 2 E k(X, Y) for k = exp(-|x - y|^2 / (2 h^2)). Unbiased:
// pairs of a draw with itself are left out, so that it may be slightly negative. With weights a ratio
// estimate, as energy_distance_unbiased.
double mmd_squared(const SampleSet& a, const SampleSet& b, const MmdOptions& options = {});

// As energy_p_value, by the MMD.
double mmd_p_value(const SampleSet& a, const SampleSet& b, const MmdOptions& options = {},
                   const PermutationOptions& permutation = {});

struct C2stOptions {
  int64_t folds = 5;                  // >= 2, of cross-validation
  std::optional<int64_t> neighbours;  // odd; by default about the root of the number of draws trained on
  PermutationOptions permutation;     // max_rows: of each set
};

struct C2st {
  double accuracy;  // held out: 1/2 for equal laws, 1 for sets that can be told apart
  double null_std;  // 1/2 / sqrt(2 rows), of the accuracy if the laws were equal
  double p_value;   // one-sided, by permutation of the labels within each fold
  int64_t rows;     // of each set
};

// Classifier two-sample test (Lopez-Paz and Oquab 2017) with k nearest neighbours, each coordinate in units
// of its standard deviation. Equal numbers of draws: the larger set is thinned at random. Weighted sets are
// first resampled to as many draws as their effective size, where copies of a draw don't vote for each other;
// its p-value is then approximate.
C2st c2st(const SampleSet& a, const SampleSet& b, const C2stOptions& options = {});

}  // namespace tweedie
