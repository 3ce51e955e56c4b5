#include "tweedie/forecast_scores.h"

#include "check_tensor.h"

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

TEST(ForecastScores, AreKnownByHand) {
  const Tensor truth = at::tensor({1.0, 2.0, 3.0, 4.0}, at::kDouble).view({2, 2});
  const Tensor forecast = truth + at::tensor({1.0, 0.0, 0.0, 2.0}, at::kDouble).view({2, 2});
  const Tensor rows = at::tensor({3.0, 1.0}, at::kDouble).unsqueeze(1);
  EXPECT_NEAR(mean_square_error(forecast, truth), 5.0 / 4, 1e-14);
  EXPECT_NEAR(mean_square_error(forecast, truth, rows), (3 * 1 + 1 * 4) / 8.0, 1e-14);
  const Tensor climatology = at::ones({2, 2}, at::kDouble);  // anomalies (0, 1, 2, 3) and (1, 1, 2, 5)
  EXPECT_NEAR(anomaly_correlation(forecast, truth, climatology), 20 / std::sqrt(14.0 * 31), 1e-14);
  EXPECT_NEAR(anomaly_correlation(2 * truth - climatology, truth, climatology, rows), 1, 1e-14);
  EXPECT_TRUE(std::isnan(anomaly_correlation(climatology, truth, climatology)));
  const Tensor ensemble = at::tensor({0.0, 1.0, 3.0}, at::kDouble).unsqueeze(1);
  const Tensor y = at::tensor({2.0}, at::kDouble);
  EXPECT_NEAR(fair_crps(ensemble, y), 4.0 / 3 - (1 + 3 + 2) / 6.0, 1e-14);
  EXPECT_NEAR(fair_crps(ensemble.slice(0, 0, 1), y), 2, 1e-14);
  EXPECT_NEAR(expected_square_error(ensemble), (1 + 1.0 / 3) * 7 / 3, 1e-14);
  const Tensor area = latitude_weight(at::tensor({-90.0, 0.0, 60.0}, at::kDouble));
  EXPECT_LT(max_difference(area.flatten(), at::tensor({0.0, 1.0, 0.5})), 1e-7);
}

// E CRPS of N(0, 1) against its own draws is E|X - X'| / 2 = 1/sqrt(pi), whatever the number of members.
TEST(ForecastScores, CrpsIsUnbiasedForAnyNumberOfMembers) {
  constexpr int64_t n = 100'000;
  for (const int64_t members : {2, 5}) {
    const Tensor ensemble = normal({members, n}, 1), truth = normal({n}, 2);
    const double expected = 1 / std::sqrt(std::numbers::pi);
    // Of one value: Var <= E (|X - y| + |X - X'| / 2)^2 < 4
    const double error = 2 / std::sqrt(static_cast<double>(n));
    EXPECT_NEAR(fair_crps(ensemble, truth), expected, 5 * error);
    // That of the members themselves, whose pairs (i, i) count, is too large by E|X - X'| / (2 M).
    const double m = static_cast<double>(members);
    const Tensor pairs = (ensemble.unsqueeze(0) - ensemble.unsqueeze(1)).abs().flatten(0, 1).mean(0);
    const double wrong = ((ensemble - truth).abs().mean(0) - pairs / 2).mean().item<double>();
    EXPECT_GT(std::abs(wrong - expected), 5 * error);
    EXPECT_NEAR(wrong - fair_crps(ensemble, truth), (m * pairs / (m - 1) / 2).mean().item<double>() / m,
                1e-12);
  }
}

TEST(ForecastScores, TheSpreadIsTheErrorOfTheMean) {
  constexpr int64_t n = 100'000, members = 4;
  const Tensor ensemble = normal({members, n}, 3), truth = normal({n}, 4);
  const double error = std::sqrt(2.0 / n) * 1.25;  // of a mean of n squares of variance 1.25
  EXPECT_NEAR(mean_square_error(ensemble.mean(0), truth), 1.25, 5 * error);
  EXPECT_NEAR(expected_square_error(ensemble), 1.25, 5 * error);
  EXPECT_GT(1.25 - ensemble.var(0, /*unbiased=*/false).mean().item<double>(), 5 * error);  // the wrong twin
}

// Fields of one hidden value and some of their own, so that they are far from independent.
Tensor fields(int64_t count, int64_t n, uint64_t seed) {
  return (normal({count, 1}, seed) + normal({count, n}, seed + 1)) / std::sqrt(2.0);
}

// p-values of `runs` ensembles of `cases` cases each, with `spread` times the right spread
std::vector<double> p_values(int64_t runs, int64_t cases, double spread) {
  constexpr int64_t members = 9, bins = 5, n = 20;
  std::vector<double> result;
  for (int64_t r = 0; r < runs; ++r) {
    std::vector<Tensor> shares;
    for (int64_t c = 0; c < cases; ++c) {
      const auto seed = static_cast<uint64_t>(4 * (r * cases + c));
      shares.push_back(
          rank_shares(spread * fields(members, n, seed + 2), fields(1, n, seed)[0], {}, bins, Noise(seed)));
    }
    result.push_back(rank_flatness(at::stack(shares)).p_value.value());
  }
  return result;
}

TEST(RankShares, RejectsExactEnsemblesAsOftenAsItSays) {
  constexpr int64_t runs = 300;
  const auto p = p_values(runs, 20, 1);
  const auto rejected =
      static_cast<double>(std::count_if(p.begin(), p.end(), [](double v) { return v < 0.05; }));
  // Binomial: five standard errors above 5% are 11.3%. Counts of all values as if they were independent are
  // rejected most of the time.
  EXPECT_LT(rejected / runs, 0.05 + 5 * std::sqrt(0.05 * 0.95 / runs));
}

TEST(RankShares, RejectsEnsemblesThatVaryTooLittleOrTooMuch) {
  for (const double spread : {0.6, 1.6}) {
    for (const double p : p_values(5, 150, spread)) EXPECT_LT(p, 1e-3) << spread;
  }
}

TEST(RankShares, SharesAreOfTheWeight) {
  const Tensor ensemble = at::tensor({0.0, 1.0, 2.0}, at::kDouble).unsqueeze(1).expand({3, 4});
  const Tensor truth = at::tensor({-1.0, 0.5, 1.5, 3.0}, at::kDouble);
  const Tensor weight = at::tensor({1.0, 2.0, 3.0, 2.0}, at::kDouble);
  EXPECT_LT(max_difference(rank_shares(ensemble, truth, weight, 4, Noise(0)), weight / 8), 1e-14);
  EXPECT_LT(max_difference(rank_shares(ensemble, truth, weight, 2, Noise(0)), at::tensor({3.0, 5.0}) / 8),
            1e-7);
  // Ties: all ranks alike, within five standard errors of 40,000 draws
  const Tensor same = at::zeros({3, 40'000}, at::kDouble);
  EXPECT_LT(max_difference(rank_shares(same, same[0], {}, 4, Noise(1)), at::full({4}, 0.25)),
            5 * std::sqrt(0.25 * 0.75 / 40'000));
}

TEST(RankShares, OfFewCasesHasNoPValue) {
  EXPECT_FALSE(rank_flatness(at::full({9, 5}, 0.2, at::kDouble)).p_value.has_value());
  EXPECT_EQ(rank_flatness(at::full({10, 5}, 0.2, at::kDouble)).p_value, 1.0);
  const Tensor outside = at::zeros({10, 5}, at::kDouble);
  outside.select(1, 4).fill_(1);  // every truth above every member
  EXPECT_EQ(rank_flatness(outside).p_value, 0.0);
}

TEST(ForecastScores, SayWhatDoesNotFit) {
  const Tensor x = at::zeros({2, 3}, at::kDouble);
  expect_error([&] { mean_square_error(x, x[0]); }, {"mean_square_error.forecast", "(2, 3)", "(3,)"});
  expect_error([&] { mean_square_error(x, x, at::ones({2})); }, {"weight", "(2,)", "(2, 3)"});
  expect_error([&] { mean_square_error(x, x, x); }, {"weight", "not all 0"});
  expect_error([&] { mean_square_error(x / 0.0, x); }, {"mean_square_error.forecast"});
  expect_error([&] { rank_shares(x, x[0], {}, 2, Noise(0)); }, {"score.bins", "2", "3 ranks"});
  expect_error([&] { expected_square_error(x.slice(0, 0, 1)); }, {"at least two"});
  expect_error([&] { latitude_weight(at::tensor({91.0})); }, {"latitude"});
  expect_error([&] { fair_crps(x, x); }, {"fair_crps.ensemble"});
}

}  // namespace
}  // namespace tweedie
