#include "core/special.h"
#include "diagnostic_gaussian.h"
#include "tweedie/calibration.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

using Status = Finding::Status;

constexpr int64_t dimension = 6, measurements = 3, draws = 19, bins = 10;
constexpr double noise_std = 0.5;

// Problems of six correlated coordinates of which three are measured, with exact draws.
struct Scene {
  test::GaussianProblem problem{test::chain(dimension, 0.7), test::every(measurements, dimension), noise_std};
  GaussianLikelihood likelihood{make_matrix({dimension}, test::every(measurements, dimension)), noise_std};

  Simulations simulate(uint64_t seed, int64_t cases) const {
    const auto s = problem.simulate(seed, cases, draws);
    return {s.x, s.y, s.draws, {}};
  }
};

struct Verdicts {
  Finding ranks, coverage, tarp_finding, identity;
};

Verdicts judge(const Scene& scene, const Simulations& s, uint64_t seed) {
  Noise noise(seed);
  const RankStatistics statistics = RankStatistics::random(dimension, 4, noise);
  const Tensor positions = rank_positions(s, statistics, scene.likelihood, noise);
  const Tensor reference = scene.simulate(seed + 1000, s.x.size(0)).x;
  return {rank_uniformity(positions, draws, bins, statistics.names()),
          central_coverage(positions, statistics.names()), tarp(distance_positions(s, reference, noise)),
          draw_against_mean(squared_errors(s))};
}

// Uniform p-values: by Kolmogorov's test at 0.1%, whose own p-value is then below 0.001.
void expect_uniform(std::vector<double> p, const char* what) {
  std::sort(p.begin(), p.end());
  const double n = static_cast<double>(p.size());
  double d = 0;
  for (size_t i = 0; i < p.size(); ++i) {
    d = std::max(
        {d, std::abs(p[i] - static_cast<double>(i) / n), std::abs(p[i] - static_cast<double>(i + 1) / n)});
  }
  EXPECT_GT(kolmogorov_p_value(d, n), 0.001) << what << ": off by " << d;
}

TEST(RankPositions, AreTheRanksAndTiesAreBrokenAtRandom) {
  Noise noise(1);
  const Tensor of_draws = at::arange(9, at::kDouble).view({9, 1, 1}).expand({9, 4, 1});
  const Tensor truth = at::tensor({-1.0, 2.5, 7.5, 99.0}, at::kDouble).view({4, 1});
  const Tensor positions = rank_positions(truth, of_draws, {}, noise);
  EXPECT_TRUE(ranks_of(positions, 9).equal(at::tensor({0, 3, 8, 9}, at::kLong).view({4, 1})));

  // All tied: every rank is as likely. Taking ties as below or above would put all into one bin.
  const int64_t cases = 2000;
  const Tensor tied = ranks_of(
      rank_positions(at::ones({cases, 1}, at::kDouble), at::ones({9, cases, 1}, at::kDouble), {}, noise), 9);
  const Tensor counts = at::bincount(tied.flatten(), {}, 10).to(at::kDouble);
  EXPECT_GT(chi2_tail(((counts - 200).square() / 200).sum().item<double>(), 9), 1e-3);
}

TEST(RankPositions, DependOnTheCaseAlone) {
  const Scene scene;
  const Simulations s = scene.simulate(2, 8);
  Noise for_directions(3);
  const RankStatistics statistics = RankStatistics::random(dimension, 4, for_directions);
  Noise all = Noise(4).rows({0, 1, 2, 3, 4, 5, 6, 7}), some = Noise(4).rows({5, 6});
  const Tensor whole = rank_positions(s, statistics, scene.likelihood, all);
  const Simulations two{s.x.slice(0, 5, 7), s.y.slice(0, 5, 7), s.draws.slice(1, 5, 7), {}};
  EXPECT_LT(max_difference(rank_positions(two, statistics, scene.likelihood, some), whole.slice(0, 5, 7)),
            1e-12);
}

TEST(Calibration, PValuesOfExactDrawsAreUniform) {
  const Scene scene;
  std::vector<double> chi2, one_tarp, identity;
  int flagged = 0;
  const int repetitions = 200;
  for (int r = 0; r < repetitions; ++r) {
    const Simulations s = scene.simulate(r, 120);
    Noise noise(r);
    const RankStatistics statistics = RankStatistics::random(dimension, 2, noise);
    const Tensor positions = rank_positions(s, statistics, scene.likelihood, noise);
    chi2.push_back(rank_histogram(positions.select(1, r % 4), draws, bins).p_value);
    one_tarp.push_back(*tarp(distance_positions(s, scene.simulate(r + 1000, 120).x, noise)).p_value);
    identity.push_back(mean_identity(squared_errors(s)).p_value);
    flagged += rank_uniformity(positions, draws, bins, statistics.names()).status != Status::pass;
    flagged += central_coverage(positions, statistics.names()).status != Status::pass;
  }
  expect_uniform(chi2, "chi2");
  expect_uniform(one_tarp, "tarp");
  expect_uniform(identity, "identity");
  // Bonferroni at 1%: at most 4 of 400 on average
  EXPECT_LE(flagged, 12);
}

TEST(Calibration, ExactDrawsPassAndWrongOnesFail) {
  const Scene scene;
  const int64_t cases = 1000;
  const Simulations exact = scene.simulate(5, cases);
  const Verdicts right = judge(scene, exact, 6);
  for (const Finding& f : {right.ranks, right.coverage, right.tarp_finding, right.identity}) {
    EXPECT_EQ(f.status, Status::pass) << f.message;
  }
  EXPECT_NEAR(right.identity.value, 10 * std::log10(2.0), 0.2);

  // Overconfident: deviations from the posterior mean times 0.8. E|draw - x|^2 is 1.64 tr C and the ratio
  // 1.64 (1 + 1/19) / (1 + 0.64/19), 2.24 dB.
  const auto narrow_truth = scene.problem.simulate(5, cases, draws, 1, 0.8);
  const Verdicts narrow = judge(scene, {exact.x, exact.y, narrow_truth.draws, {}}, 6);
  EXPECT_EQ(narrow.ranks.status, Status::fail) << narrow.ranks.message;
  EXPECT_EQ(narrow.coverage.status, Status::fail) << narrow.coverage.message;
  EXPECT_EQ(narrow.tarp_finding.status, Status::fail) << narrow.tarp_finding.message;
  EXPECT_EQ(narrow.identity.status, Status::fail) << narrow.identity.message;
  EXPECT_NEAR(narrow.identity.value, 10 * std::log10(1.64 * (20.0 / 19) / (1 + 0.64 / 19)), 0.2);

  // Shifted by 0.3, about half a standard deviation, in every coordinate
  const Verdicts shifted = judge(scene, {exact.x, exact.y, exact.draws + 0.3, {}}, 6);
  EXPECT_EQ(shifted.ranks.status, Status::fail) << shifted.ranks.message;
  EXPECT_EQ(shifted.tarp_finding.status, Status::fail) << shifted.tarp_finding.message;
  EXPECT_EQ(shifted.identity.status, Status::fail) << shifted.identity.message;

  // The posterior mean again and again: 0 dB but for the correction of a mean that has no error
  const Tensor mean = exact.y.matmul(scene.problem.gain.t()).unsqueeze(0).expand_as(exact.draws);
  const Verdicts collapsed = judge(scene, {exact.x, exact.y, mean, {}}, 6);
  EXPECT_EQ(collapsed.ranks.status, Status::fail);
  EXPECT_EQ(collapsed.coverage.status, Status::fail);
  EXPECT_EQ(collapsed.coverage.value, 0);
  EXPECT_EQ(collapsed.tarp_finding.status, Status::fail);
  EXPECT_EQ(collapsed.identity.status, Status::fail);
  EXPECT_NEAR(collapsed.identity.value, 10 * std::log10(20.0 / 19), 1e-9);

  // Draws from the prior have uniform coordinates; their likelihood tells.
  Noise other(7);
  const Tensor prior = other.normal({draws, cases, dimension}, at::kDouble).matmul(scene.problem.root.t());
  EXPECT_EQ(judge(scene, {exact.x, exact.y, prior, {}}, 6).ranks.status, Status::fail);
}

// Without the factor 1 + 1/L the mean of few draws looks too bad: 2 / (1 + 1/L).
TEST(MeanIdentity, CorrectsForTheNumberOfDraws) {
  const Scene scene;
  for (const int64_t few : {2, 5}) {
    Simulations s = scene.simulate(8, 4000);
    s.draws = s.draws.slice(0, 0, few);
    const SquaredErrors errors = squared_errors(s);
    const MeanIdentity right = mean_identity(errors);
    EXPECT_LT(std::abs(right.z), 3.5);
    EXPECT_NEAR(right.decibels, 10 * std::log10(2.0), 3.5 * right.standard_error);
    const double factor = 1 + 1.0 / static_cast<double>(few);
    EXPECT_LT(mean_identity({errors.draw, errors.mean * factor}).p_value, 1e-6);
  }
}

// Draws of twice the standard deviation, weighted back: of N(0, 1) without a measurement.
TEST(Calibration, WeightedDrawsAreResampled) {
  const int64_t cases = 1500, n = 400;
  Noise noise(9);
  const Tensor x = noise.normal({cases, 1}, at::kDouble), y = noise.normal({cases, 1}, at::kDouble);
  const Tensor wide = 2 * noise.normal({n, cases, 1}, at::kDouble);
  const Tensor log_weight = (-wide.square() / 2 + wide.square() / 8).squeeze(2);
  const Tensor weighted = rank_positions(x, wide, log_weight, noise);
  const Tensor plain = rank_positions(x, wide, {}, noise);
  EXPECT_EQ(central_coverage(weighted, {"x"}).status, Status::pass);
  EXPECT_EQ(rank_uniformity(weighted, 19, 20, {"x"}).status, Status::pass);
  EXPECT_EQ(rank_uniformity(plain, 19, 20, {"x"}).status, Status::fail);
  const Simulations s{x, y, wide, log_weight};
  // Weights that depend on the draws make this approximate: the effective size is about 220 of 400.
  EXPECT_NEAR(mean_identity(squared_errors(s)).decibels, 10 * std::log10(2.0), 0.35);
  EXPECT_GT(std::abs(mean_identity(squared_errors({x, y, wide, {}})).decibels - 10 * std::log10(2.0)), 2);
}

TEST(RankHistogram, ByHand) {
  // 20 cases, two bins: 15 and 5 of 10 expected each, chi2 = 5
  const Tensor positions = at::cat({at::full({15}, 0.2, at::kDouble), at::full({5}, 0.7, at::kDouble)});
  const RankHistogram h = rank_histogram(positions, 9, 2);
  EXPECT_EQ(h.counts[0].item<double>(), 15);
  EXPECT_NEAR(h.chi2, 5, 1e-12);
  EXPECT_NEAR(h.p_value, 0.0253473187, 1e-9);
  expect_error([&] { rank_histogram(positions, 9, 3); }, {"calibrate.bins", "3", "10 ranks"});
  expect_error([&] { rank_histogram(positions, 9, 5); }, {"calibrate.simulations", "20", "25"});
}

TEST(IntervalCoverage, ByHand) {
  const Tensor positions = at::tensor({0.01, 0.3, 0.5, 0.6, 0.97}, at::kDouble);
  const auto c = interval_coverage(positions, {0.5, 0.95});
  EXPECT_NEAR(c[0].coverage, 0.6, 1e-12);
  EXPECT_NEAR(c[0].standard_error, std::sqrt(0.05), 1e-12);
  EXPECT_NEAR(c[0].p_value, 1, 1e-12);
  EXPECT_NEAR(c[1].coverage, 0.8, 1e-12);
  EXPECT_NEAR(c[1].p_value, 2 * (1 - std::pow(0.95, 5)), 1e-9);
}

TEST(ExpectedCoverage, IsAnEmpiricalDistributionFunction) {
  const ExpectedCoverage c = expected_coverage(at::tensor({0.1, 0.2, 0.6, 0.9}, at::kDouble), 5);
  EXPECT_LT(max_difference(c.coverage, at::tensor({0.0, 0.5, 0.5, 0.75, 1.0}, at::kDouble)), 1e-12);
  EXPECT_NEAR(c.deviation, 0.3, 1e-12);  // just after 0.2
  EXPECT_NEAR(c.band, std::sqrt(std::log(40.0) / 8), 1e-12);
}

// Kolmogorov's law from its quantiles: P(K > 1.3581) = 0.05, P(K > 1.6276) = 0.01
TEST(Special, KolmogorovBinomialAndBeta) {
  const double n = 1e8;
  EXPECT_NEAR(kolmogorov_p_value(1.35810 / std::sqrt(n), n), 0.05, 1e-4);
  EXPECT_NEAR(kolmogorov_p_value(1.62762 / std::sqrt(n), n), 0.01, 1e-4);
  EXPECT_EQ(kolmogorov_p_value(0, 10), 1);
  EXPECT_NEAR(binomial_p_value(0, 10, 0.5), 2 * std::pow(0.5, 10), 1e-12);
  EXPECT_NEAR(binomial_p_value(8, 10, 0.5), 2 * 56 * std::pow(0.5, 10), 1e-12);
  EXPECT_EQ(binomial_p_value(5, 10, 0.5), 1);
  EXPECT_NEAR(f_tail(4.964602743730711, 1, 10), 0.05, 1e-10);  // the square of Student's 2.228
  EXPECT_EQ(f_tail(INFINITY, 2, 3), 0);
  EXPECT_NEAR(incomplete_beta(3, 7, beta_quantile(3, 7, 0.2)), 0.2, 1e-12);
}

}  // namespace
}  // namespace tweedie
