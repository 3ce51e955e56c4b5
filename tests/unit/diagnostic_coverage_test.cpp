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

// Linear interpolation with positions (k - 1)/(n - 1), the usual default: too narrow for a new point.
double usual_quantiles_cover(const Tensor& draws, const Tensor& truth, double level) {
  const Tensor sorted = std::get<0>(draws.sort(0));
  const auto quantile = [&](double q) {
    const double position = q * static_cast<double>(draws.size(0) - 1);
    const auto k = static_cast<int64_t>(position);
    return sorted[k] + (position - static_cast<double>(k)) * (sorted[k + 1] - sorted[k]);
  };
  const Tensor inside = (truth >= quantile((1 - level) / 2)).logical_and(truth <= quantile((1 + level) / 2));
  return inside.to(at::kDouble).mean().item<double>();
}

TEST(Coverage, OfExactDrawsIsTheLevelForFewDrawsAndAnySkewedLaw) {
  Noise noise(1);
  const int64_t cases = 20000, n = 7;
  const Tensor points = noise.normal({n + 1, cases, 1}, at::kDouble).exp();
  const Tensor draws = points.slice(0, 1), truth = points[0];
  // one batch of all as the coordinates of one case, which are independent
  const auto levels = measure_coverage(draws.reshape({n, 1, cases}), truth.reshape({1, cases}));
  const std::vector<double> reached = {0.5, 0.75, 0.75, 0.75};  // (n - 1)/(n + 1) is the most
  for (size_t l = 0; l < levels.size(); ++l) {
    EXPECT_NEAR(levels[l].level, reached[l], 1e-12);
    EXPECT_NEAR(levels[l].expected, reached[l], 1e-9);
    EXPECT_NEAR(levels[l].coverage, reached[l], 4 * std::sqrt(0.25 / cases));
    // estimated from seven draws
    EXPECT_NEAR(levels[l].standard_error / std::sqrt(reached[l] * (1 - reached[l]) / cases), 1, 0.6);
  }
  EXPECT_LT(usual_quantiles_cover(draws, truth, 0.5), 0.5 - 8 * std::sqrt(0.25 / cases));
}

// h = 16 x 0.25 = 4.25 for 16 draws at 50%: a quarter of the way from the fourth to the fifth order statistic
TEST(Coverage, InterpolatesBetweenOrderStatistics) {
  const Tensor draws = at::arange(1, 17, at::kDouble).reshape({16, 1, 1});
  const auto at_truth = [&](double x) {
    return measure_coverage(draws, at::full({1, 1}, x, at::kDouble), {{0.5}, {}, {}})[0].coverage;
  };
  EXPECT_NEAR(at_truth(3.5), 0, 1e-12);
  EXPECT_NEAR(at_truth(4.5), 0.75, 1e-12);
  EXPECT_NEAR(at_truth(5.5), 1, 1e-12);
  EXPECT_NEAR(at_truth(12.5), 0.75, 1e-12);
  EXPECT_NEAR(at_truth(13.5), 0, 1e-12);
  EXPECT_NEAR(at_truth(5), 1, 1e-12);  // the end itself is in: five draws are at most 5
}

// Pixels that move together: an error bar that counts them one by one is far too small.
TEST(Coverage, ExactDrawsOfCorrelatedPixelsPassAndNaivelyFail) {
  const GaussianProblem problem(chain(60, 0.995), every(2, 60), 1);
  const int repetitions = 100;
  int failed = 0, warned = 0, naively = 0;
  for (int r = 0; r < repetitions; ++r) {
    const auto s = problem.simulate(r, 1 + r % 5, 16);
    const auto levels = measure_coverage(s.draws, s.x);
    const Status status = coverage(levels).status;
    failed += status == Status::fail;
    warned += status == Status::warn;
    const double binomial = std::sqrt(0.25 / static_cast<double>(s.x.numel()));
    naively += std::abs(levels[0].coverage - 0.5) > 2.58 * binomial;  // of size 0.01, were they independent
  }
  EXPECT_EQ(failed, 0);
  EXPECT_LE(warned, 4);
  EXPECT_GT(naively, 0.3 * repetitions);
}

TEST(Coverage, ExactDrawsAreFlaggedNoMoreOftenThanStatedInOneDimension) {
  const GaussianProblem problem(chain(1, 0.5), every(1, 1), 0.5);
  const int repetitions = 80;
  int flagged = 0, below_a_fifth = 0;
  for (int r = 0; r < repetitions; ++r) {
    const auto s = problem.simulate(r, 20, 9);
    const Finding f = coverage(s.draws, s.x);
    flagged += f.status != Status::pass;
    below_a_fifth += *f.p_value <= 0.2;
  }
  EXPECT_LE(flagged, 3);
  EXPECT_LE(below_a_fifth, 0.2 * repetitions);
}

TEST(Coverage, WrongDrawsFail) {
  const GaussianProblem problem(chain(60, 0.8), every(20, 60), 0.3);
  const auto judged = [&](double mean_scale, double std_scale) {
    const auto s = problem.simulate(11, 40, 16, mean_scale, std_scale);
    return coverage(s.draws, s.x);
  };
  EXPECT_EQ(judged(1, 1).status, Status::pass) << judged(1, 1).message;
  const Finding narrow = judged(1, 0.4), wide = judged(1, 2.5), collapsed = judged(1, 0),
                shifted = judged(-0.5, 1);
  EXPECT_EQ(narrow.status, Status::fail) << narrow.message;
  EXPECT_NE(narrow.message.find("too little"), std::string::npos);
  EXPECT_EQ(wide.status, Status::fail) << wide.message;
  EXPECT_NE(wide.message.find("too much"), std::string::npos);
  EXPECT_EQ(collapsed.status, Status::fail) << collapsed.message;
  EXPECT_EQ(collapsed.value, 0);
  EXPECT_EQ(shifted.status, Status::fail) << shifted.message;
}

TEST(Coverage, OneCaseOfFewDrawsWarnsOfALargeMissButCantProveIt) {
  const GaussianProblem problem(chain(400, 0.2), every(100, 400), 0.3);
  const auto s = problem.simulate(12, 1, 16, 1, 0.3);
  EXPECT_EQ(coverage(s.draws, s.x).status, Status::warn);
}

TEST(Coverage, TiesCountAsCoveredAndAreExpectedToBe) {
  const GaussianProblem problem(chain(50, 0.5), every(25, 50), 0.5);
  auto s = problem.simulate(13, 30, 16);
  const auto levels = measure_coverage(s.draws.clamp(-0.3, 0.3), s.x.clamp(-0.3, 0.3));
  EXPECT_GT(levels[0].expected, 0.6);
  EXPECT_NEAR(levels[0].coverage, levels[0].expected, 4 * levels[0].standard_error);
  EXPECT_EQ(coverage(levels).status, Status::pass);
  const auto saturated = measure_coverage(at::ones({5, 2, 3}), at::ones({2, 3}));
  EXPECT_NEAR(saturated[1].coverage, 1, 1e-12);
  EXPECT_EQ(coverage(saturated).status, Status::pass);
}

TEST(Coverage, OnlyMaskedCoordinatesCount) {
  const GaussianProblem problem(chain(20, 0.5), every(10, 20), 0.5);
  auto s = problem.simulate(14, 10, 16);
  const auto expected = measure_coverage(s.draws.slice(2, 5), s.x.slice(1, 5));
  s.x.slice(1, 0, 5).fill_(100);
  const auto masked = measure_coverage(s.draws, s.x, {{0.5, 0.8, 0.9, 0.95}, at::arange(20) >= 5, {}});
  EXPECT_NEAR(masked[0].coverage, expected[0].coverage, 1e-12);
  EXPECT_LT(measure_coverage(s.draws, s.x)[0].coverage, expected[0].coverage);
  EXPECT_THROW(measure_coverage(s.draws, s.x, {{0.5}, at::zeros({20}, at::kBool), {}}), Error);
}

// Draws from a posterior of twice the spread, weighted back to it.
TEST(Coverage, UsesLogWeights) {
  const int64_t cases = 250, n = 200;
  Noise noise(15);
  const Tensor truth = noise.normal({cases, 1}, at::kDouble);
  const Tensor draws = 2 * noise.normal({n, cases, 1}, at::kDouble);
  const Tensor log_weight = (-draws.square() / 2 + draws.square() / 8).squeeze(2);
  const auto weighted = measure_coverage(draws, truth, {{0.5, 0.9}, {}, log_weight});
  EXPECT_NEAR(weighted[0].coverage, 0.5, 4 * std::sqrt(0.25 / cases));
  EXPECT_NEAR(weighted[1].coverage, 0.9, 4 * std::sqrt(0.09 / cases));
  EXPECT_EQ(coverage(weighted).status, Status::pass);
  EXPECT_EQ(coverage(draws, truth).status, Status::fail);
  const auto equal = measure_coverage(draws, truth, {{0.5, 0.9}, {}, at::full({n}, 3.0)});
  EXPECT_NEAR(equal[0].coverage, measure_coverage(draws, truth, {{0.5}, {}, {}})[0].coverage, 1e-9);
}

TEST(Coverage, OneDrawIsSkippedAndBadInputIsNamed) {
  EXPECT_EQ(coverage(at::zeros({1, 2, 3}), at::zeros({2, 3})).status, Status::skipped);
  EXPECT_THROW(measure_coverage(at::zeros({4, 2, 3}), at::zeros({3})), Error);
  EXPECT_THROW(measure_coverage(at::zeros({4, 2, 3}), at::zeros({2, 3}), {{1.0}, {}, {}}), Error);
  EXPECT_THROW(measure_coverage(at::zeros({4, 2, 3}), at::zeros({2, 3}), {{0.5}, {}, at::zeros({3})}), Error);
  EXPECT_THROW(measure_coverage(at::full({4, 2, 3}, NAN), at::zeros({2, 3})), Error);
}

}  // namespace
}  // namespace tweedie
