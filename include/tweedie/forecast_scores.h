#pragma once
// Scores of a forecast of one field: an ensemble (members, *field), or one forecast (*field), against what
// came,
// (*field). Arrays are float32 or float64 and finite, fields of any shape. weight: of each value of the
// field, >= 0, it broadcasts to the field; undefined: all count the same. Throw Error for other shapes and
// values.

#include "tweedie/diagnostics.h"
#include "tweedie/noise.h"

#include <optional>

namespace tweedie {

// cos(latitude), (H, 1): what area a row of an equiangular grid stands for. latitude: (H) in degrees
Tensor latitude_weight(const Tensor& latitude);

// Mean of (forecast - truth)^2 over the field; the RMSE is its root, taken after the mean over cases.
double mean_square_error(const Tensor& forecast, const Tensor& truth, const Tensor& weight = {});

// Anomaly correlation, of forecast - climatology with truth - climatology, without taking their means over
// the field away (Murphy and Epstein 1989). NaN where one of them is 0 everywhere.
double anomaly_correlation(const Tensor& forecast, const Tensor& truth, const Tensor& climatology,
                           const Tensor& weight = {});

// Continuous ranked probability score, mean over the field, in its units: E|X - y| - E|X - X'| / 2. Two
// members at least: the second mean is over pairs of different ones, so that the score of M members is
// unbiased for that of their law (Ferro 2014). One member: |X - y|.
double fair_crps(const Tensor& ensemble, const Tensor& truth, const Tensor& weight = {});

// (1 + 1/M) times the unbiased variance of M members, mean over the field: what the mean square error of
// their mean is, in expectation, when truth and members are draws of one law. At least two members.
double expected_square_error(const Tensor& ensemble, const Tensor& weight = {});

// Where the truth stands among the members, ties at random: share of the field's weight in each of `bins`
// bins of the ranks 0 .. M, (bins) float64, summing to 1. bins >= 2 divides M + 1. Each is 1/bins in
// expectation when truth and members are draws of one law (Talagrand et al. 1997).
Tensor rank_shares(const Tensor& ensemble, const Tensor& truth, const Tensor& weight, int64_t bins,
                   Noise noise);

// A rank histogram over cases whose fields are not independent values: its error is from how it differs from
// case to case.
struct RankFlatness {
  Tensor share, standard_error;   // (bins)
  std::optional<double> p_value;  // of flatness, from Hotelling's T^2; none with fewer cases than 2 bins
};
// shares: (cases, bins) of independent cases
RankFlatness rank_flatness(const Tensor& shares);

// Findings over leads, each lead's p-value times their number. Cases are taken to be independent.
// value: the largest |share bins - 1|. Skipped where no lead has a p-value.
Finding flat_ranks(const std::vector<RankFlatness>& leads, const Significance& significance = {});
// square_error, expected: (cases, leads), of the members' mean and by expected_square_error. value: root of
// expected over actual, at the lead of the smallest p-value. Fails outside [1 / 1.25, 1.25]. Skipped with one
// case.
Finding ensemble_spread(const Tensor& square_error, const Tensor& expected,
                        const Significance& significance = {});

}  // namespace tweedie
