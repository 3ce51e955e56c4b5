// The check for copies of training rows, on samplers that copy and ones that do not.

#include "tweedie/memorisation.h"

#include "check_tensor.h"
#include "diagnostic/nearest.h"

#include <cmath>

namespace tweedie {
namespace {

Tensor rows(int64_t n, int64_t d, uint64_t seed) {
  return normal({n, d}, seed, at::kFloat);
}

TEST(NearestRows, IsThatOfAllDistances) {
  for (const int64_t d : {1, 2, 40}) {
    // Several blocks of both, far from the origin
    const Tensor x = 30 + rows(1500, d, 1), y = 30 + rows(9000, d, 2);
    const auto [distance, index] = at::cdist(x.to(at::kDouble), y.to(at::kDouble), 2, 2).min(1);
    const Nearest found = nearest(x, y, 1);
    EXPECT_LT(max_difference(found.distance, distance), 1e-5) << d;
    EXPECT_GT(found.index.eq(index).to(at::kDouble).mean().item<double>(), 0.995) << d;
    EXPECT_TRUE(at::equal(found.index, nearest(x, y, 2).index)) << d;
    // A copy is found as one.
    const Nearest self = nearest(y.slice(0, 4000, 5000), y, 1);
    EXPECT_EQ(self.distance.max().item<double>(), 0) << d;
    if (d > 1) EXPECT_TRUE(at::equal(self.index, at::arange(4000, 5000)));
  }
}

class Copies : public testing::TestWithParam<int64_t> {};

TEST_P(Copies, AreFoundAndFreshDrawsPass) {
  const int64_t d = GetParam(), n = 3000;
  const Tensor training = rows(5000, d, 1), held_out = rows(2000, d, 2), fresh = rows(n, d, 3);
  const Memorisation of_fresh = measure_memorisation(fresh, training, held_out);
  EXPECT_NEAR(of_fresh.expected, 0.01, 1e-3);
  EXPECT_LT(std::abs(of_fresh.share - of_fresh.expected), 4.5 * of_fresh.standard_error);
  EXPECT_EQ(memorisation(of_fresh).status, Finding::Status::pass) << memorisation(of_fresh).message;

  // One draw in 20 is a training row, a little off
  Tensor copied = fresh.clone();
  copied.slice(0, 0, n / 20).copy_(training.slice(0, 700, 700 + n / 20) + 1e-4 * rows(n / 20, d, 4));
  const Memorisation of_copies = measure_memorisation(copied, training, held_out);
  const Finding finding = memorisation(of_copies);
  EXPECT_EQ(finding.status, Finding::Status::fail) << finding.message;
  EXPECT_THAT(finding.message, testing::HasSubstr("closest: draw"));
  EXPECT_FALSE(finding.remedy.empty());
  EXPECT_NEAR(of_copies.share, 0.05 + 0.95 * 0.01, 4.5 * of_copies.standard_error);
  ASSERT_EQ(of_copies.closest.size(), 10U);
  for (const MemorisedPair& pair : of_copies.closest) {
    EXPECT_EQ(pair.row, pair.draw + 700);
    EXPECT_LT(pair.distance, 1e-3 * std::sqrt(static_cast<double>(d)));
  }
  // Every draw a copy
  EXPECT_EQ(measure_memorisation(training.slice(0, 0, 500), training, held_out).share, 1);
}

INSTANTIATE_TEST_SUITE_P(Dimensions, Copies, testing::Values(2, 64));

// P(p <= a) <= a for draws of the data's law, close to a where X takes many values, whatever the number of
// held-out rows; a binomial with p = 0.1, which takes its threshold to be the law's quantile, is not.
TEST(Memorisation, PValuesHoldForFewHeldOutRows) {
  constexpr int64_t repeats = 400, n = 400;
  constexpr double level = 0.1;
  int64_t small = 0, small_as_binomial = 0;
  const double spread = std::sqrt(n * level * (1 - level));
  for (int64_t i = 0; i < repeats; ++i) {
    const auto seed = static_cast<uint64_t>(10 * i);
    const Memorisation found =
        measure_memorisation(rows(n, 2, seed), rows(100, 2, seed + 1), rows(39, 2, seed + 2),
                             {.quantile = level, .pairs = 0, .threads = 1});
    EXPECT_EQ(found.expected, level);
    small += found.p_value <= level ? 1 : 0;
    small_as_binomial += (n * found.share - n * level) / spread > 1.2816 ? 1 : 0;  // upper tenth of N(0, 1)
  }
  const double error = std::sqrt(level * (1 - level) / repeats);
  EXPECT_NEAR(static_cast<double>(small) / repeats, level, 4.5 * error);
  EXPECT_GT(static_cast<double>(small_as_binomial) / repeats, 2 * level);
}

TEST(Memorisation, BadInputIsNamed) {
  const Tensor x = rows(10, 2, 1), many = rows(200, 2, 2);
  expect_error([&] { measure_memorisation(x, x, many, {.quantile = 0}); }, {"memorisation.quantile", "0"});
  expect_error([&] { measure_memorisation(x, many, x); }, {"memorisation.held_out", "10", "99"});
  expect_error([&] { measure_memorisation(x, many, rows(200, 3, 1)); }, {"memorisation", "(3,)", "(2,)"});
  expect_error([&] { measure_memorisation(x.slice(0, 0, 0), many, many); }, {"memorisation.draws", "(0, 2)"});
  Tensor bad = x.clone();
  bad[1][1] = NAN;
  expect_error([&] { measure_memorisation(bad, many, many); }, {"memorisation.draws", "(1, 1)"});
  EXPECT_EQ(measure_memorisation(x, many, rows(99, 2, 3)).expected, 0.01);
  EXPECT_EQ(memorisation(measure_memorisation(many, many, many)).status, Finding::Status::skipped);
}

}  // namespace
}  // namespace tweedie
