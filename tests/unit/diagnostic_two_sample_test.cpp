#include "tweedie/frechet.h"
#include "tweedie/transport.h"
#include "tweedie/two_sample.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// N(0, 4) reweighted to N(0, 1)
SampleSet reweighted(int64_t n, uint64_t seed) {
  const Tensor x = 2 * normal({n, 1}, seed);
  return {x, (-x.square() / 2 + x.square() / 8).squeeze(1)};
}

// X - Y ~ N(m, v I) in d dimensions: E exp(-|X - Y|^2 / (2 h^2)) = (1 + v / h^2)^(-d/2) exp(-|m|^2 / (2 (h^2
// + v)))
double expected_kernel(double square, double v, int64_t d, double h) {
  return std::pow(1 + v / (h * h), -0.5 * static_cast<double>(d)) * std::exp(-square / (2 * (h * h + v)));
}

TEST(Mmd, OfGaussiansIsUnbiasedForTheClosedForm) {
  const int64_t d = 3, repetitions = 300;
  const double h = 1.3, std_b = 1.5, shift = 0.5, square = shift * shift * d;
  const MmdOptions options{.factors = {0.5, 2}, .bandwidth = h};
  Tensor value = at::empty({repetitions}, at::kDouble);
  for (int64_t r = 0; r < repetitions; ++r) {
    value[r] = mmd_squared(normal({12, d}, 100 + r), std_b * normal({9, d}, 1000 + r) + shift, options);
  }
  double expected = 0, own = 0;  // own: what the pairs (i, i) would add
  for (const double factor : options.factors) {
    const double width = factor * h, within_a = expected_kernel(0, 2, d, width);
    const double within_b = expected_kernel(0, 2 * std_b * std_b, d, width);
    expected += (within_a + within_b - 2 * expected_kernel(square, 1 + std_b * std_b, d, width)) / 2;
    own += ((1 - within_a) / 12 + (1 - within_b) / 9) / 2;
  }
  const double mean = value.mean().item<double>(),
               error = value.std().item<double>() / std::sqrt(repetitions);
  EXPECT_NEAR(mean, expected, 4 * error);
  EXPECT_GT(expected, 4 * error);  // 0 is wrong, and so is the sum with the pairs (i, i)
  EXPECT_GT(std::abs(mean - expected - own), 4 * error);
}

TEST(Mmd, TheBandwidthIsTheMedianDistanceOfThePool) {
  const Tensor a = at::tensor({0.0, 1.0}, at::kDouble).unsqueeze(1), b = a + 2;
  // distances 1 (three times), 2 (twice), 3
  const auto k = [](double r, double h) { return std::exp(-r * r / (2 * h * h)); };
  const auto by_hand = [&](double h) { return 2 * k(1, h) - 2 * (2 * k(2, h) + k(1, h) + k(3, h)) / 4; };
  EXPECT_NEAR(mmd_squared(a, b, {.factors = {1}}), by_hand(1), 1e-14);
  EXPECT_NEAR(mmd_squared(a, b, {.factors = {2}}), by_hand(2), 1e-14);
  EXPECT_NEAR(mmd_squared(a, b), (by_hand(0.5) + by_hand(1) + by_hand(2)) / 3, 1e-14);
  EXPECT_NEAR(mmd_squared(5 * a, 5 * b), mmd_squared(a, b), 1e-14);
  EXPECT_NE(mmd_squared(5 * a, 5 * b, {.bandwidth = 1}), mmd_squared(a, b, {.bandwidth = 1}));
}

TEST(Mmd, PValueIsUniformForEqualLawsAndSmallForOthers) {
  const int repetitions = 150;
  int below = 0;
  for (int r = 0; r < repetitions; ++r) {
    below += mmd_p_value(normal({12, 2}, 2000 + r), normal({9, 2}, 3000 + r), {}, {99, 1000, 1}) <= 0.2;
  }
  EXPECT_NEAR(below, 0.2 * repetitions, 3.5 * std::sqrt(0.16 * repetitions));
  EXPECT_NEAR(mmd_p_value(normal({60, 2}, 1), 1.0 + normal({60, 2}, 2)), 1.0 / 200, 1e-12);
  EXPECT_LT(mmd_p_value(normal({100, 2}, 1), 2 * normal({100, 2}, 2)), 0.01);
}

TEST(Mmd, UsesLogWeights) {
  const SampleSet a = reweighted(600, 3);
  const Tensor b = normal({400, 1}, 4);
  EXPECT_GT(mmd_p_value(a, b), 0.01);
  EXPECT_LE(mmd_p_value(a.x, b), 0.01);
  EXPECT_LT(std::abs(mmd_squared(a, b)), 0.1 * mmd_squared(a.x, b));
  EXPECT_NEAR(mmd_squared({b, at::full({400}, 3.0)}, a.x, {.bandwidth = 1}),
              mmd_squared(b, a.x, {.bandwidth = 1}), 1e-12);
}

TEST(C2st, IsAFairCoinForEqualLaws) {
  const int64_t repetitions = 200;
  int below = 0;
  Tensor accuracy = at::empty({repetitions}, at::kDouble);
  double null_std = 0;
  for (int64_t r = 0; r < repetitions; ++r) {
    const C2st test =
        c2st(normal({50, 2}, 4000 + r), normal({50, 2}, 5000 + r), {.permutation = {49, 1000, 1}});
    accuracy[r] = test.accuracy;
    null_std = test.null_std;
    below += test.p_value <= 0.2;
  }
  EXPECT_DOUBLE_EQ(null_std, 0.05);
  EXPECT_NEAR(accuracy.mean().item<double>(), 0.5, 4 * null_std / std::sqrt(repetitions));
  EXPECT_NEAR(accuracy.std().item<double>() / null_std, 1, 0.35);  // folds share what they are trained on
  // Equal accuracies count against the sets, so that fewer p-values than 20% are below 0.2: about 16%
  EXPECT_LT(below, 0.2 * repetitions + 3.5 * std::sqrt(0.16 * repetitions));
  EXPECT_GT(below, 0.15 * repetitions - 3.5 * std::sqrt(0.16 * repetitions));
}

// Known: the best classifier of N(0, 1) and N(t, 1) is right with probability Phi(t / 2).
TEST(C2st, ApproachesTheBestAccuracyAndRejectsOtherLaws) {
  const double t = 2, best = 0.5 * std::erfc(-t / 2 / std::sqrt(2.0));
  const C2st shifted = c2st(normal({600, 1}, 5), normal({500, 1}, 6) + t);
  EXPECT_EQ(shifted.rows, 500);
  EXPECT_NEAR(shifted.accuracy, best, 4 * shifted.null_std);
  EXPECT_LE(shifted.p_value, 0.005);
  EXPECT_LE(c2st(normal({300, 2}, 7), 2 * normal({300, 2}, 8)).p_value, 0.01);
  // Scales of the coordinates do not matter.
  const Tensor scale = at::tensor({1e3, 1e-3}, at::kDouble), t2 = at::tensor({0.0, 2.0}, at::kDouble);
  const Tensor a = normal({200, 2}, 9), b = normal({200, 2}, 10) + t2;
  EXPECT_NEAR(c2st(a * scale, b * scale).accuracy, c2st(a, b).accuracy, 1e-12);
  EXPECT_EQ(c2st(a, b, {.folds = 2, .neighbours = 1, .permutation = {.seed = 1}}).rows, 200);
}

// Resampled draws are copies, which would give each other away across folds.
TEST(C2st, CopiesDoNotVoteForEachOther) {
  const C2st weighted = c2st(reweighted(1500, 11), normal({800, 1}, 12), {.neighbours = 1});
  EXPECT_NEAR(weighted.accuracy, 0.5, 5 * weighted.null_std);
  EXPECT_GT(weighted.p_value, 0.001);
  const Tensor half = normal({200, 3}, 13);
  const C2st copied = c2st(at::cat({half, half}), normal({400, 3}, 14), {.neighbours = 1});
  EXPECT_GT(copied.accuracy, 0.5 + 5 * copied.null_std);
}

TEST(RandomFeatureFrechet, SeesWhatMeanAndCovarianceDoNot) {
  const Tensor a = normal({500, 2}, 15);
  const Tensor two_modes =
      normal({500, 2}, 16).sign() * 0.95 + std::sqrt(1 - 0.95 * 0.95) * normal({500, 2}, 17);
  const auto rf = [](const SampleSet& x, const SampleSet& y) { return rf_fd(x, y); };
  const Floor rf_floor = distance_floor(rf, a, two_modes),
              w2_floor = distance_floor(gaussian_w2, a, two_modes);
  EXPECT_GT(rf_fd(a, two_modes), rf_floor.mean + 6 * rf_floor.std);
  EXPECT_LT(gaussian_w2(a, two_modes), w2_floor.mean + 4 * w2_floor.std);
  // Between equal laws it is the floor on average; the features of two coordinates have few degrees of
  // freedom.
  Tensor same = at::empty({16}, at::kDouble);
  for (int64_t r = 0; r < 16; ++r) same[r] = rf_fd(normal({500, 2}, 600 + r), normal({500, 2}, 700 + r));
  const Floor floor = distance_floor(rf, a, normal({500, 2}, 18));
  EXPECT_NEAR(same.mean().item<double>(), floor.mean,
              4 * std::sqrt(1.0 / 16 + 1.0 / 20) * same.std().item<double>());
  EXPECT_NEAR(rf_fd(a, a), 0, 1e-10);
  EXPECT_NEAR(rf_fd(7 * a + 3, 7 * two_modes + 3), rf_fd(a, two_modes), 1e-9);
  EXPECT_NE(rf_fd(a, two_modes, {.seed = 1}), rf_fd(a, two_modes));
}

TEST(RandomFeatureFrechet, TakesAsManyDrawsOfBoth) {
  const Tensor a = normal({400, 3}, 19), b = normal({100, 3}, 20);
  const Floor floor = distance_floor([](const SampleSet& x, const SampleSet& y) { return rf_fd(x, y); },
                                     at::cat({a.slice(0, 0, 100), b}));
  EXPECT_LT(std::abs(rf_fd(a, b) - floor.mean), 5 * floor.std);
  // from sets of 400 and 400 it is smaller: the bias is that of the smaller set
  EXPECT_LT(rf_fd(a, normal({400, 3}, 21)), 0.6 * rf_fd(a, b));
  const SampleSet weighted = reweighted(600, 22);
  EXPECT_LT(rf_fd(weighted, normal({300, 1}, 23)), 0.2 * rf_fd(weighted.x, normal({300, 1}, 23)));
}

TEST(RandomFeatureFrechet, OfImagesSeesTheNeighbourhood) {
  // The same values, the pixels of one set in random places
  const Tensor noise = normal({300, 1, 12, 12}, 24);
  const Tensor smooth = noise + noise.roll(1, 2) + noise.roll(1, 3) + noise.roll({1, 1}, {2, 3});
  const Tensor order = at::tensor(Noise(25).permutation(144), at::kLong);
  const Tensor scattered = normal({300, 1, 12, 12}, 26);
  const Tensor other =
      scattered + scattered.roll(1, 2) + scattered.roll(1, 3) + scattered.roll({1, 1}, {2, 3});
  const Tensor mixed = other.flatten(1).index_select(1, order).reshape({300, 1, 12, 12});
  const RandomFeatureOptions few{.features = 16};
  const auto rf = [&](const SampleSet& x, const SampleSet& y) { return rf_fd(x, y, few); };
  const Floor floor = distance_floor(rf, smooth, other, {.splits = 8});
  EXPECT_LT(rf(smooth, other), floor.mean + 5 * floor.std);
  EXPECT_GT(rf(smooth, mixed), floor.mean + 6 * floor.std);
}

// W_2 between finite sets of one law is far from 0, and the floor says how far.
TEST(DistanceFloor, ServesAnyDistance) {
  const Tensor a = normal({120, 4}, 27), b = normal({120, 4}, 28);
  const auto w2 = [](const SampleSet& x, const SampleSet& y) { return optimal_transport(x, y).distance; };
  const Floor floor = distance_floor(w2, a, b, {.splits = 12});
  EXPECT_GT(floor.mean, 0.5);
  EXPECT_NEAR(w2(a, b), floor.mean, 5 * floor.std);
  EXPECT_GT(w2(a, 2 * b), floor.mean + 5 * floor.std);
  const Floor sliced = distance_floor(
      [](const SampleSet& x, const SampleSet& y) { return sliced_wasserstein(x, y); }, a, b, {.splits = 12});
  EXPECT_EQ(sliced.mean, sliced_wasserstein_floor(a, b, {}, 12).mean);
  expect_error([&] { distance_floor(w2, a, {.splits = 1}); }, {"distance_floor.splits", "1"});
}

TEST(TwoSample, BadInputIsNamed) {
  const Tensor a = normal({20, 3}, 29);
  expect_error([&] { mmd_squared(a, a, {.bandwidth = 0}); }, {"mmd.bandwidth", "0"});
  expect_error([&] { mmd_squared(a, a, {.factors = {}}); }, {"mmd.factors"});
  expect_error([&] { mmd_squared(at::ones({4, 1}), at::ones({4, 1})); }, {"mmd.bandwidth", "equal"});
  expect_error([&] { mmd_squared(a, a.slice(1, 0, 2)); }, {"mmd", "3", "2"});
  expect_error([&] { mmd_p_value(a, a, {}, {0}); }, {"mmd", "0 permutations"});
  expect_error([&] { c2st(a, a, {.folds = 1}); }, {"c2st.folds", "1"});
  expect_error([&] { c2st(a, a, {.neighbours = 4}); }, {"c2st.neighbours", "4", "odd"});
  expect_error([&] { c2st(a, a.slice(0, 0, 9)); }, {"c2st", "9 draws", "10"});
  expect_error([&] { rf_fd(a, a, {.features = 0}); }, {"rf_fd.features", "0"});
  expect_error([&] { gaussian_w2(a, a.slice(0, 0, 1)); }, {"gaussian_w2", "1 draws"});
}

}  // namespace
}  // namespace tweedie
