#pragma once
// Is a method right on average over problems? Draw x from the prior and y given x; if the draws are from
// p(x | y), then x and they are exchangeable given y, and where x stands among them is uniform
// (simulation-based calibration: Cook, Gelman and Rubin 2006; Talts et al. 2018). All p-values are uniform
// for exact draws that are independent given y.

#include "tweedie/diagnostics.h"
#include "tweedie/likelihood.h"

namespace tweedie {

// Truths with draws from their posteriors, float32 or float64 and finite.
struct Simulations {
  Tensor x;           // (cases, *shape)
  Tensor y;           // (cases, *codomain)
  Tensor draws;       // (draws, cases, *shape)
  Tensor log_weight;  // (draws, cases), or undefined for equal weights
};

// The quantities whose ranks are taken: coordinates of x along unit directions, log p(y | x), and |x|^2.
struct RankStatistics {
  // count directions of dimension d, uniform on the sphere; no more than d of them
  static RankStatistics random(int64_t dimension, int64_t count, Noise& noise);

  Tensor directions;           // (d, k) float64
  bool log_likelihood = true;  // false where there is none, for measurements without noise

  std::vector<std::string> names() const;  // "direction-1", ..., "log-likelihood", "squared-norm"
  // x: (cases, *shape), y: (cases, *codomain) -> (cases, k + 2 or k + 1) float64
  Tensor of(const Tensor& x, const Tensor& y, const Likelihood& likelihood) const;
};

// (rank + u) / (L + 1) with rank = #{draws below the truth} and u ~ U(0, 1): exactly uniform for exact draws,
// for any L. Ties are broken at random. Weighted draws are first resampled to as many as their effective
// size. of_x: (cases, statistics), of_draws: (L, cases, statistics), log_weight as above; row i of the noise
// is that of case i. Returns (cases, statistics) float64 in (0, 1).
Tensor rank_positions(const Tensor& of_x, const Tensor& of_draws, const Tensor& log_weight, Noise& noise);
// The same for all statistics
Tensor rank_positions(const Simulations& s, const RankStatistics& statistics, const Likelihood& likelihood,
                      Noise& noise);
// Lemos, Coogan, Hezaveh and Perreault-Levasseur 2023 (TARP): of the distance from a reference point, which
// may depend on y but not on x. reference: (cases, *shape). Returns (cases).
Tensor distance_positions(const Simulations& s, const Tensor& reference, Noise& noise);
// Whole ranks 0 .. draws from positions: int64
Tensor ranks_of(const Tensor& positions, int64_t draws);

// 5 cases a bin, below which chi2 is no good
bool enough_for_bins(int64_t cases, int64_t bins);
// Throws Error unless there are enough, and bins >= 2 divides draws + 1.
void require_bins(int64_t cases, int64_t draws, int64_t bins);

struct RankHistogram {
  Tensor counts;  // (bins) float64
  double chi2, p_value;
};
// positions: (cases) of one statistic
RankHistogram rank_histogram(const Tensor& positions, int64_t draws, int64_t bins = 20);

// positions: (cases, statistics). value: the largest chi2 over its degrees of freedom; p_value: the smallest,
// times the number of statistics. Fails on significance.
Finding rank_uniformity(const Tensor& positions, int64_t draws, int64_t bins,
                        const std::vector<std::string>& names, const Significance& significance = {});

// The fraction of central intervals that hold the truth: (levels) each
struct IntervalCoverage {
  double level, coverage;
  double standard_error;  // sqrt(level (1 - level) / cases)
  double p_value;         // binomial, two-sided
};
std::vector<IntervalCoverage> interval_coverage(const Tensor& positions, const std::vector<double>& levels);
// Of all statistics at 50, 80, 90 and 95%. value: the coverage at 90% that is furthest off.
Finding central_coverage(const Tensor& positions, const std::vector<std::string>& names,
                         const Significance& significance = {});

// Expected coverage by TARP: the fraction of positions below each level.
struct ExpectedCoverage {
  Tensor level, coverage;  // (levels) float64
  double deviation;        // sup |coverage - level| over all levels
  double p_value;          // Kolmogorov
  double band;             // half-width of the simultaneous 95% band about the diagonal
};
ExpectedCoverage expected_coverage(const Tensor& positions, int64_t levels = 101);
// value: deviation
Finding tarp(const Tensor& positions, const Significance& significance = {});

// E|draw - x|^2 = 2 E|posterior mean - x|^2, since a draw and x are independent and of one law given y: a
// draw is 3.01 dB worse than the mean. Per case, float64, (cases):
struct SquaredErrors {
  Tensor draw;  // |draw - x|^2, mean over draws
  Tensor mean;  // |mean of the draws - x|^2 / (1 + 1/L), unbiased for that of the posterior mean
};
// At least two draws. With weights L is the effective size.
SquaredErrors squared_errors(const Simulations& s);

struct MeanIdentity {
  double decibels;        // 10 log10 (E draw / E mean): 3.01 for exact draws, less for too little spread
  double standard_error;  // in dB
  double z, p_value;      // of E draw - 2 E mean = 0; Student's t
};
MeanIdentity mean_identity(const SquaredErrors& errors);
// value: decibels
Finding draw_against_mean(const SquaredErrors& errors, const Significance& significance = {});

}  // namespace tweedie
