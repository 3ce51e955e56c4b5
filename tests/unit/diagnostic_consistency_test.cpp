// Data consistency and collapse of variance: rate of false alarms on exact draws, and power against wrong
// ones.

#include "core/special.h"
#include "diagnostic_gaussian.h"
#include "tweedie/diagnostics.h"
#include "tweedie/error.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace tweedie {
namespace {

using test::chain;
using test::every;
using test::GaussianProblem;
using Status = Finding::Status;

// Every draw as a problem of its own: what ignores that draws of one case share their y.
double p_as_if_independent(const Tensor& chi2, int64_t m) {
  const double t = chi2.sum().item<double>() * m, k = static_cast<double>(chi2.numel() * m);
  return 2 * std::min(chi2_cdf(t, k), chi2_tail(t, k));
}

TEST(DataConsistency, ExactDrawsAreFlaggedNoMoreOftenThanStatedAndNaivelyFarMore) {
  // Little information in y: the draws share their residual almost wholly.
  const GaussianProblem problem(0.01 * chain(10, 0.5), every(5, 10), 1);
  const int repetitions = 300;
  int flagged = 0, below_a_fifth = 0, naively = 0;
  for (int r = 0; r < repetitions; ++r) {
    const auto s = problem.simulate(r, 3, 12);
    const Finding f = data_consistency(s.chi2, 5);
    flagged += f.status != Status::pass;
    below_a_fifth += *f.p_value <= 0.2;
    naively += p_as_if_independent(s.chi2, 5) < 0.01;
  }
  EXPECT_LE(flagged, 0.01 * repetitions + 3 * std::sqrt(0.01 * repetitions));
  EXPECT_LE(below_a_fifth, 0.2 * repetitions + 3 * std::sqrt(0.16 * repetitions));
  EXPECT_GT(below_a_fifth, 0);  // the test has not gone to sleep
  EXPECT_GT(naively, 0.1 * repetitions);
}

TEST(DataConsistency, ExactDrawsOfInformativeMeasurementsPass) {
  for (double noise_std : {0.01, 0.3, 3.0}) {
    const GaussianProblem problem(chain(30, 0.9), every(15, 30), noise_std);
    int failed = 0;
    for (int r = 0; r < 60; ++r)
      failed += data_consistency(problem.simulate(r, 4, 8).chi2, 15).status != Status::pass;
    EXPECT_LE(failed, 3) << noise_std;
  }
}

TEST(DataConsistency, WrongDrawsFail) {
  const GaussianProblem problem(chain(30, 0.9), every(15, 30), 0.1);
  const auto verdict_on = [&](double mean_scale, double std_scale) {
    return data_consistency(problem.simulate(7, 8, 8, mean_scale, std_scale).chi2, 15);
  };
  const Finding ignoring = verdict_on(0.8, 1), inflated = verdict_on(1, 2), fitting = verdict_on(1.0091, 0);
  EXPECT_EQ(ignoring.status, Status::fail);
  EXPECT_NE(ignoring.message.find("ignore"), std::string::npos);
  EXPECT_EQ(inflated.status, Status::fail);
  EXPECT_EQ(fitting.status, Status::fail);
  EXPECT_NE(fitting.message.find("fit the noise"), std::string::npos);
  EXPECT_FALSE(fitting.remedy.empty());
}

TEST(DataConsistency, ASmallMisfitOfManyMeasurementsOnlyWarns) {
  const Finding f = data_consistency(at::full({10, 64}, 1.1, at::kDouble), 200);
  EXPECT_EQ(f.status, Status::warn);
  EXPECT_LT(*f.p_value, 1e-6);
  EXPECT_NEAR(f.value, 1.1, 1e-12);
}

TEST(VarianceCollapse, ExactDrawsAreNeverFlaggedHoweverCorrelated) {
  struct Case {
    Tensor s, a;
    double noise_std;
  };
  const Tensor ones = at::ones({20, 1}, at::kDouble);
  const std::vector<Case> cases = {
      {chain(20, 0.5), every(10, 20), 0.1},
      {chain(20, 0.9999), every(20, 20), 0.1},     // all pixels nearly one
      {at::ones({1, 1}, at::kDouble), ones, 0.1},  // twenty measurements of one number
      {1e-4 * chain(20, 0.9), every(20, 20), 1},   // nothing learned from y
      {at::ones({1, 1}, at::kDouble), at::ones({1, 1}, at::kDouble), 0.1},
      {100 * chain(12, 0.7), every(12, 12), 0.01},
  };
  for (size_t k = 0; k < cases.size(); ++k) {
    const GaussianProblem problem(cases[k].s, cases[k].a, cases[k].noise_std);
    for (int r = 0; r < 40; ++r) {
      const auto s = problem.simulate(100 * k + r, 1 + r % 4, 12);
      const std::vector<MeasuredVariance> known = {
          {}, {problem.prior_of_ax, {}}, {{}, problem.posterior_of_ax}};
      for (const MeasuredVariance& what : known) {
        const Finding f = variance_collapse(s.ax, s.y, problem.noise_std, what);
        EXPECT_EQ(f.status, Status::pass) << k << ": " << f.message;
      }
    }
  }
}

// Holding the variance against the noise's, as if every coordinate were alone, calls exact draws of
// correlated pixels collapsed.
TEST(VarianceCollapse, TheNaiveRatioWouldFlagCorrelatedPixels) {
  const GaussianProblem problem(chain(20, 0.9999), every(20, 20), 0.1);
  const auto s = problem.simulate(1, 4, 12);
  const double naive = s.ax.var(0, true).mean().item<double>() / (1 * 0.01 / 1.01);
  EXPECT_LT(naive, 0.2);
}

TEST(VarianceCollapse, ValueIsTheRatioToTheExactVariance) {
  const GaussianProblem problem(chain(20, 0.9), every(10, 20), 0.3);
  const auto s = problem.simulate(3, 20, 40, 1, 0.8);
  const Finding f = variance_collapse(s.ax, s.y, 0.3, {{}, problem.posterior_of_ax});
  EXPECT_NEAR(f.value, 0.64, 0.03);  // 39 x 20 cases of a few free directions each
  EXPECT_EQ(f.status, Status::pass);
}

// Without any knowledge of the prior, from R + V = 1.
TEST(VarianceCollapse, CollapsedDrawsFailForAnyPrior) {
  const GaussianProblem problem(chain(40, 0.5), every(20, 40), 0.1);
  const auto s = problem.simulate(4, 1, 16, 1.0091, 0.03);  // variance ratio 1e-3
  const Finding f = variance_collapse(s.ax, s.y, 0.1);
  EXPECT_EQ(f.status, Status::fail) << f.message;
  EXPECT_LT(f.value, 0.05);
  EXPECT_NE(f.remedy.find("mmps"), std::string::npos);
}

// One number measured once: lambda = 1, noise std 0.1 and 0.5, gain and variance of DPS (scalar golden
// values).
TEST(VarianceCollapse, DpsOnAScalarFailsWhereItsPriorIsKnown) {
  const Tensor y = at::ones({1, 1}, at::kDouble), prior = at::ones({1}, at::kDouble);
  const auto dps = [&](double gain, double variance) {
    return gain * y + std::sqrt(variance) * Noise(5).normal({32, 1, 1}, at::kDouble);
  };
  const Finding small_noise = variance_collapse(dps(1.0091, 1e-5), y, 0.1, {prior, {}});
  EXPECT_EQ(small_noise.status, Status::fail);
  EXPECT_NEAR(small_noise.value, 1e-5 / 0.0099, 1e-3);
  EXPECT_EQ(variance_collapse(dps(1.2491, 0.017738), y, 0.5, {prior, {}}).status, Status::fail);
  EXPECT_EQ(variance_collapse(dps(0.9901, 0.0099), y, 0.1, {prior, {}}).status, Status::pass);
  EXPECT_EQ(variance_collapse(dps(1.0091, 1e-5), y, 0.1).status,
            Status::pass);  // one residual proves nothing
}

TEST(VarianceCollapse, DrawsThatNeverVaryFailAndOneDrawIsSkipped) {
  const GaussianProblem problem(chain(40, 0.5), every(20, 40), 0.1);
  const auto s = problem.simulate(6, 2, 10, 1.0, 0);
  EXPECT_EQ(variance_collapse(s.ax, s.y, 0.1).status, Status::fail);
  EXPECT_EQ(variance_collapse(s.ax.slice(0, 0, 1), s.y, 0.1).status, Status::skipped);
}

TEST(VarianceCollapse, BadInputIsNamed) {
  const Tensor ax = at::zeros({4, 1, 3}), y = at::zeros({1, 3});
  EXPECT_THROW(variance_collapse(ax, at::zeros({3}), 1), Error);
  EXPECT_THROW(variance_collapse(ax, y, 0), Error);
  EXPECT_THROW(variance_collapse(ax, y, 1, {at::zeros({3}), {}}), Error);
  EXPECT_THROW(variance_collapse(ax, y, 1, {{}, at::ones({2})}), Error);
  EXPECT_THROW(variance_collapse(at::full({4, 1, 3}, NAN), y, 1), Error);
  EXPECT_THROW(data_consistency(-at::ones({4, 2}), 3), Error);
  EXPECT_THROW(data_consistency(at::ones({4, 2}), 0), Error);
}

}  // namespace
}  // namespace tweedie
