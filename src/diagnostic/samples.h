#pragma once
// Sets of draws as the metrics see them: (n, d) float64 on the CPU, with normalised weights.

#include "tweedie/noise.h"
#include "tweedie/sample_set.h"

#include <functional>
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

// Throws Error(place) when there are more than `most` rows.
void require_at_most(int64_t most, const Rows& rows, const std::string& place);

// Which draws (k) to take, equally weighted, in place of weighted ones, by systematic(). Ascending, with
// copies next to each other.
Tensor equal_weight_index(const Rows& rows, Noise& noise);
// Those draws themselves
Tensor equal_weight_rows(const Rows& rows, Noise& noise);

// At most so many of the rows, at random.
Tensor thinned(const Tensor& x, int64_t most, Noise& noise);

// |x_i - y_j|, (n, m). The product form of |x - y|^2 is faster but cancels: used only for long rows, which
// the callers centre.
Tensor distances(const Tensor& x, const Tensor& y);

// sum_ij v_i w_j f(|x_i - y_j|), block by block; f works on arrays of distances.
double weighted_sum(const Tensor& x, const Tensor& v, const Tensor& y, const Tensor& w,
                    const std::function<Tensor(const Tensor&)>& f);

// Deviations from the mean, scaled so that the unbiased covariance is deviation^T deviation.
struct Spread {
  Tensor mean;       // (d)
  Tensor deviation;  // (n, d)
  double trace, fourth_moment;
};

// Throws Error when all the weight is on one draw.
Spread spread_of(const Rows& rows);

}  // namespace tweedie
