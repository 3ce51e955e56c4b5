#pragma once
// Can these draws from p(x | y) be trusted? Each check is a pure function that returns one Finding. Draws are
// in float32 or float64, equally weighted unless a log weight is asked for; a check that is given NaN throws
// Error, so run `finite` first.

#include "tweedie/tensor.h"

#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct Finding {
  enum class Status { pass, warn, fail, skipped };

  std::string name;  // kebab-case
  Status status;
  double value;  // NaN when skipped
  std::optional<double> p_value;
  std::string message;  // one line with the numbers
  std::string remedy;   // one line, empty when there is nothing to do
};

const char* to_string(Finding::Status status);

// A failure needs both significance (p < fail_below) and size (what each check says); a warning p <
// warn_below only.
struct Significance {
  double warn_below = 0.01;
  double fail_below = 0.001;
};

// All values are finite. value: the number that are not.
Finding finite(const Tensor& draws);

// residual_chi2: (draws, cases) or (draws), mean over the m = measurements coordinates of ((y - A x) /
// noise_std)^2. If x' ~ p(x | y), then (x', y) has the law of (x, y), so m times the residual is chi2_m over
// problems, for every draw. value: mean residual; p_value: two-sided, valid for any dependence among the
// draws of a case. Fails outside [1 / 1.25, 1.25].
Finding data_consistency(const Tensor& residual_chi2, int64_t measurements,
                         const Significance& significance = {});

// z: (cases, ...), a second measurement of each x, with noise of its own, that the draws were not given;
// predicted: (draws, cases, ...), that measurement of each draw with noise. value: the mean squared error of
// z over that which the draws expect, each entry in units of its variance among them; p_value: two-sided,
// from ranks, exact for independent draws, any law and any dependence among entries. Fails below 1 / 1.25 and
// above 1.25; warns there at 5 standard deviations, since few cases have no small p. Sees a prior that is
// wrong where y says nothing.
Finding held_out(const Tensor& z, const Tensor& predicted, const Significance& significance = {});

struct CoverageOptions {
  std::vector<double> levels = {0.5, 0.8, 0.9, 0.95};
  Tensor mask;        // bool, broadcasts to truth: the coordinates that count; undefined: all
  Tensor log_weight;  // (draws) or (draws, cases); undefined: equal weights
};

struct CoverageLevel {
  double asked;     // the level asked for
  double level;     // the level of the interval used: asked, or (n - 1)/(n + 1) where n draws allow no more
  double coverage;  // fraction of coordinates whose truth is in their interval, ends included
  double expected;  // its expectation for exact draws: level, or more where draws and truth are tied
  double standard_error;  // for exact draws, with the dependence among coordinates that the draws show
  double p_value;         // two-sided, a bound that holds for any number of cases and any dependence
};

// draws: (draws, cases, *shape); truth: (cases, *shape). Central intervals [x_(k), x_(n+1-k)] of the order
// statistics with k = (n + 1)(1 - level)/2; between two integers k their coverages are interpolated, so that
// exact draws are covered at exactly `level` in expectation, for any n and any continuous law.
std::vector<CoverageLevel> measure_coverage(const Tensor& draws, const Tensor& truth,
                                            const CoverageOptions& options = {});

// value: coverage of the level nearest 90%; p_value: the smallest, times the number of levels. Fails when a
// coverage is off by more than 0.1. Warns of such a one beyond 4 standard errors, too, since the p-value is
// never below 1 / (draws + 1)^cases.
Finding coverage(const std::vector<CoverageLevel>& levels, const Significance& significance = {});
Finding coverage(const Tensor& draws, const Tensor& truth, const CoverageOptions& options = {},
                 const Significance& significance = {});

// What is known of A x a priori; both optional, of shape (m) or (cases, m).
struct MeasuredVariance {
  Tensor prior;      // variance of (A x)_i under the prior; only for a Gaussian prior
  Tensor posterior;  // exact variance of (A x)_i given y
};

// Guidance that drops Cov[x_0 | x_t] (DPS) draws the same point again and again where the noise is small. ax:
// (draws, cases, m) the draws' A x; y: (cases, m). value: variance along the measured directions over what it
// should be, by the most precise standard at hand. Fails when it is below one half.
Finding variance_collapse(const Tensor& ax, const Tensor& y, double noise_std,
                          const MeasuredVariance& known = {}, const Significance& significance = {});

struct StepsTolerance {
  double mean = 0.1;  // root mean square shift of the mean, in posterior standard deviations
  double std = 0.1;   // relative change of the standard deviation
};

// full, half: (draws, ...), draw i of both from the same seed, at `steps` steps and at half as many. value:
// shift of the mean in posterior standard deviations. For a sampler of order p the error left at `steps` is
// about the change over 2^p - 1, so a pass is on the safe side. Fails when a change exceeds its tolerance
// beyond its Monte Carlo error.
Finding steps_enough(const Tensor& full, const Tensor& half, int64_t steps,
                     const StepsTolerance& tolerance = {}, const Significance& significance = {});

// log_weight: (draws). value: effective sample size (sum w)^2 / sum w^2. Fails below 10 or below 1% of the
// draws.
Finding weights(const Tensor& log_weight);

struct Verdict {
  bool trusted;          // nothing failed and something was checked
  std::string sentence;  // in plain words
};

Verdict verdict(const std::vector<Finding>& findings);

}  // namespace tweedie
