#pragma once
// Sets of draws as the metrics see them: (n, d) float64 on the CPU, with normalised weights.

#include "tweedie/metrics.h"
#include "tweedie/noise.h"

#include <string>
#include <utility>

namespace tweedie {

struct Rows {
  Tensor x;       // (n, d)
  Tensor weight;  // (n), sums to 1
  bool weighted;  // false: all weights are 1/n
  double ess;     // 1 / sum weight^2

  int64_t n() const { return x.size(0); }
  int64_t d() const { return x.size(1); }
};

// (n, *shape) of real or complex numbers -> (n, d) float64 on the CPU; complex numbers become pairs.
Tensor flat_rows(const Tensor& x, const std::string& place);

// Normalised weights from log weights (n); throws Error on NaN, +infinity, or when all are -infinity.
Tensor normalised(const Tensor& log_weight, const std::string& place);

// Throws Error(place) on a wrong shape, on NaN and infinity, and when there are fewer than `least` rows.
Rows rows_of(const SampleSet& set, const std::string& place, int64_t least = 1);
// Both, of one dimension.
std::pair<Rows, Rows> rows_of(const SampleSet& a, const SampleSet& b, const std::string& place,
                              int64_t least = 1);

// Systematic resampling with one u in (0, 1): indices (k) of draws that then count the same, k the effective
// size of the normalised weights.
Tensor systematic(const Tensor& weight, double u);

// Equally weighted draws (k, d) in place of weighted ones, by systematic resampling; k is the effective size.
Tensor equal_weight_rows(const Rows& rows, Noise& noise);

}  // namespace tweedie
