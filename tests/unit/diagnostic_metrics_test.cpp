#include "tweedie/error.h"
#include "tweedie/metrics.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

Tensor normal(uint64_t seed, at::IntArrayRef shape) {
  return Noise(seed).normal(shape, at::kDouble);
}

Tensor column(std::vector<double> v) {
  return at::tensor(v, at::kDouble).unsqueeze(1);
}

// int |F - G| dx over the line, from the definition of the distribution functions
double area_between(const Tensor& a, const Tensor& b, double power) {
  const Tensor grid = std::get<0>(at::cat({a.flatten(), b.flatten()}).sort());
  double sum = 0;
  for (int64_t k = 0; k + 1 < grid.numel(); ++k) {
    const double x = grid[k].item<double>();
    const double f = (a <= x).to(at::kDouble).mean().item<double>();
    const double g = (b <= x).to(at::kDouble).mean().item<double>();
    sum += std::pow(std::abs(f - g), power) * (grid[k + 1].item<double>() - x);
  }
  return sum;
}

TEST(Wasserstein1d, IsKnownByHandForUnequalSizes) {
  // quantiles differ by 1/2 on (1/3, 2/3)
  EXPECT_NEAR(wasserstein_1d(column({1, 0}), column({0.5, 0, 1})), 1.0 / 6, 1e-14);
  EXPECT_NEAR(wasserstein_1d(column({1, 0}), column({0.5, 0, 1}), 2), std::sqrt(1.0 / 12), 1e-14);
  EXPECT_NEAR(wasserstein_1d(column({3}), column({1, 2, 6})), 2, 1e-14);
}

TEST(Wasserstein1d, IsTheAreaBetweenDistributionFunctions) {
  const Tensor a = normal(1, {17, 1}), b = normal(2, {23, 1}) * 2 + 0.5;
  EXPECT_NEAR(wasserstein_1d(a, b), area_between(a, b, 1), 1e-12);
  EXPECT_GT(std::abs(wasserstein_1d(a, b.slice(0, 0, 17)) - area_between(a, b, 1)),
            1e-3);  // truncating is wrong
}

TEST(Wasserstein1d, AWeightOfThreeIsThreeCopies) {
  const Tensor a = column({0.3, -1, 2}), b = normal(3, {7, 1});
  const Tensor copies = column({0.3, -1, -1, -1, 2, 2});
  const Tensor log_weight = at::tensor({1.0, 3.0, 2.0}, at::kDouble).log() + 1000;
  EXPECT_NEAR(wasserstein_1d({a, log_weight}, b, 2), wasserstein_1d(copies, b, 2), 1e-12);
  EXPECT_NEAR(energy_distance_plug_in({a, log_weight}, b), energy_distance_plug_in(copies, b), 1e-12);
}

// A translation by t moves every projection by u.t: W_1 = |u.t|, W_2^2 = (u.t)^2, of mean |t|^2 / d over the
// sphere and variance |t|^4 2(d - 1)/(d^2 (d + 2)).
TEST(SlicedWasserstein, OfATranslationIsKnownInEveryConvention) {
  const int64_t d = 4, directions = 4000;
  const Tensor a = normal(4, {50, d}), t = at::tensor({1.0, -2.0, 0.5, 0.0}, at::kDouble);
  const double square = t.dot(t).item<double>();
  const double error = square * std::sqrt(2.0 * (d - 1) / (d * d * (d + 2)) / directions);
  const auto distance = [&](SlicedConvention c) { return sliced_wasserstein(a, a + t, {directions, c, 5}); };
  const double w2 = distance(SlicedConvention::root_mean_w2), w1 = distance(SlicedConvention::mean_w1);
  EXPECT_NEAR(w2 * w2, square / d, 4 * error);
  EXPECT_GT(std::abs(w1 * w1 - square / d), 4 * error);  // the other convention is another number
  // E|u_1| on the sphere in four dimensions is Gamma(2) / (sqrt(pi) Gamma(5/2)) = 4 / (3 pi)
  EXPECT_NEAR(w1, std::sqrt(square) * 4 / (3 * std::numbers::pi), 4 * std::sqrt(square / d / directions));
  const double largest = distance(SlicedConvention::max_w2);
  EXPECT_LE(largest, std::sqrt(square) + 1e-12);
  EXPECT_GT(largest, 0.98 * std::sqrt(square));
}

TEST(SlicedWasserstein, OfIndependentGaussiansIsTheirShift) {
  const Tensor a = normal(6, {600, 3}), b = normal(7, {400, 3}) + 1;
  const double w2 = sliced_wasserstein(a, b, {300, SlicedConvention::root_mean_w2, 1});
  EXPECT_NEAR(w2 * w2, 1,
              0.15);  // |b|^2 / d; means err by sqrt(1/3000 + 1/2000) each way, directions by 0.03
}

TEST(SlicedWasserstein, ScalesAndIsSymmetricAndVanishes) {
  const Tensor a = normal(8, {30, 2, 3}), b = normal(9, {41, 2, 3});
  const double w = sliced_wasserstein(a, b);
  EXPECT_NEAR(sliced_wasserstein(b, a), w, 1e-12);
  EXPECT_NEAR(sliced_wasserstein(3 * a, 3 * b), 3 * w, 1e-12);
  EXPECT_EQ(sliced_wasserstein(a, a), 0);
  EXPECT_NEAR(sliced_wasserstein(a, at::cat({a, a})), 0, 1e-12);
  EXPECT_NE(sliced_wasserstein(a, b, {100, SlicedConvention::mean_w1, 1}), w);
}

TEST(SlicedWasserstein, FloorIsTheDistanceOfEqualLaws) {
  const Tensor a = normal(10, {200, 4}), b = normal(11, {200, 4});
  const Floor floor = sliced_wasserstein_floor(a, b);
  const double equal = sliced_wasserstein(a, b), other = sliced_wasserstein(a, 1.5 * b);
  EXPECT_LT(std::abs(equal - floor.mean), 4 * floor.std);
  const Floor with_other = sliced_wasserstein_floor(a, 1.5 * b);
  EXPECT_GT(other, with_other.mean + 4 * with_other.std);
  EXPECT_NEAR(sliced_wasserstein_floor(at::cat({a, b})).mean, floor.mean, 3 * floor.std);
  // halves of a quarter of the draws: W_1 of finite sets falls as 1/sqrt(n)
  EXPECT_NEAR(sliced_wasserstein_floor(a.slice(0, 0, 100)).mean / floor.mean, 2, 0.4);
}

TEST(EnergyDistance, OnALineIsTwiceTheSquaredAreaBetween) {
  const Tensor a = normal(12, {19, 1}), b = normal(13, {31, 1}) + 0.3;
  EXPECT_NEAR(energy_distance_plug_in(a, b), 2 * area_between(a, b, 2), 1e-12);
}

// X - Y ~ N(t, 2): E|X - Y| = sqrt(2) (sqrt(2/pi) exp(-t^2/4) + t/sqrt(2) erf(t/2))
TEST(EnergyDistance, OfShiftedGaussiansIsKnown) {
  const double t = 1;
  const double expected = 2 * (2 / std::sqrt(std::numbers::pi) * std::exp(-t * t / 4) + t * std::erf(t / 2)) -
                          4 / std::sqrt(std::numbers::pi);
  const Tensor a = normal(14, {2500, 1}), b = normal(15, {1500, 1}) + t;
  EXPECT_NEAR(energy_distance_unbiased(a, b), expected,
              0.08);  // slope about 1 times the error 0.033 of the shift
  EXPECT_GT(std::abs(energy_distance_unbiased(a, b + 1) - expected), 0.3);
}

TEST(EnergyDistance, UnbiasedHasMeanZeroForEqualLawsAndPlugInHasNot) {
  const int64_t repetitions = 400;
  Tensor unbiased = at::empty({repetitions}, at::kDouble), plug_in = at::empty_like(unbiased);
  for (int64_t r = 0; r < repetitions; ++r) {
    const Tensor a = normal(100 + r, {8, 3}), b = normal(1000 + r, {5, 3});
    unbiased[r] = energy_distance_unbiased(a, b);
    plug_in[r] = energy_distance_plug_in(a, b);
  }
  const double error = unbiased.std().item<double>() / std::sqrt(repetitions);
  EXPECT_LT(std::abs(unbiased.mean().item<double>()), 4 * error);
  EXPECT_GT(plug_in.mean().item<double>(), 4 * error);
  EXPECT_GE(plug_in.min().item<double>(), 0);
}

TEST(EnergyDistance, LongRowsAndBlocksGiveTheSameSums) {
  const Tensor a = normal(16, {1030, 40}) + 1e3, b = normal(17, {7, 40}) + 1e3;
  const auto mean_distance = [](const Tensor& x, const Tensor& y) {
    double sum = 0;
    for (const Tensor& row : y.unbind()) sum += (x - row).square().sum(1).sqrt().mean().item<double>();
    return sum / static_cast<double>(y.size(0));
  };
  const double expected = 2 * mean_distance(a, b) - mean_distance(a, a) - mean_distance(b, b);
  EXPECT_NEAR(energy_distance_plug_in(a, b), expected, 1e-6);
}

TEST(EnergyPValue, IsUniformForEqualLawsAndSmallForOthers) {
  const int repetitions = 150;
  int below = 0;
  for (int r = 0; r < repetitions; ++r) {
    below += energy_p_value(normal(2000 + r, {12, 2}), normal(3000 + r, {9, 2}), {99, 1000, 1}) <= 0.2;
  }
  EXPECT_NEAR(below, 0.2 * repetitions, 3.5 * std::sqrt(0.16 * repetitions));
  EXPECT_NEAR(energy_p_value(normal(1, {60, 2}), 1.0 + normal(2, {60, 2})), 1.0 / 200, 1e-12);
  EXPECT_LT(energy_p_value(normal(1, {100, 2}), 2 * normal(2, {100, 2})), 0.01);
}

TEST(Moments, ErrorsAreKnownByHand) {
  const Tensor a = at::tensor({0.0, 0.0, 2.0, 0.0}, at::kDouble).reshape({2, 2});
  const Tensor b = at::tensor({0.0, 3.0, 0.0, 5.0}, at::kDouble).reshape({2, 2});
  const MomentError mean = mean_error(a, b), covariance = covariance_error(a, b);
  EXPECT_NEAR(mean.absolute, std::sqrt(17), 1e-12);
  EXPECT_NEAR(mean.relative, std::sqrt(17.0 / 2), 1e-12);
  EXPECT_NEAR(mean.standard_error, std::sqrt(2), 1e-12);
  EXPECT_NEAR(covariance.absolute, std::sqrt(8), 1e-12);
  EXPECT_NEAR(covariance.relative, std::sqrt(2), 1e-12);
}

TEST(Moments, StandardErrorsArePredictedFromOnePair) {
  const int64_t repetitions = 200;
  const Tensor scale = at::tensor({1.0, 2.0, 0.5}, at::kDouble);
  Tensor mean = at::empty({repetitions}, at::kDouble), covariance = at::empty_like(mean);
  MomentError m{}, c{};
  for (int64_t r = 0; r < repetitions; ++r) {
    const Tensor a = normal(4000 + r, {300, 3}) * scale, b = normal(5000 + r, {200, 3}) * scale;
    m = mean_error(a, b);
    c = covariance_error(a, b);
    mean[r] = m.absolute;
    covariance[r] = c.absolute;
  }
  const auto root_mean_square = [](const Tensor& v) { return std::sqrt(v.square().mean().item<double>()); };
  EXPECT_NEAR(root_mean_square(mean) / m.standard_error, 1, 0.15);
  EXPECT_NEAR(root_mean_square(covariance) / c.standard_error, 1, 0.25);
}

TEST(Moments, LongRowsGoThroughTheGramMatrix) {
  const Tensor a = normal(18, {5, 30}), b = 2 * normal(19, {6, 30});
  const auto covariance = [](const Tensor& x) {
    const Tensor d = x - x.mean(0);
    return d.t().matmul(d) / (x.size(0) - 1);
  };
  const Tensor difference = covariance(a) - covariance(b);
  EXPECT_NEAR(covariance_error(a, b).absolute, difference.norm().item<double>(), 1e-9);
}

TEST(Psnr, IsKnownByHandForEachRow) {
  const Tensor truth = at::zeros({3, 2, 2}, at::kFloat);
  const Tensor x = truth.clone();
  x[0].fill_(0.1);
  x[1].select(0, 0).fill_(0.2);
  const Tensor db = psnr(x, truth, 2);
  EXPECT_NEAR(db[0].item<double>(), 10 * std::log10(4 / 0.01), 1e-5);
  EXPECT_NEAR(db[1].item<double>(), 10 * std::log10(4 / 0.02), 1e-5);
  EXPECT_TRUE(std::isinf(db[2].item<double>()));
}

// The definition, one window after the other.
double ssim_by_loops(const Tensor& x, const Tensor& y, int64_t k, double range) {
  const double c1 = std::pow(0.01 * range, 2), c2 = std::pow(0.03 * range, 2),
               half = static_cast<double>(k - 1) / 2;
  double total = 0, windows = 0;
  for (int64_t i = 0; i + k <= x.size(0); ++i) {
    for (int64_t j = 0; j + k <= x.size(1); ++j) {
      double w = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0;
      for (int64_t p = 0; p < k * k; ++p) {
        const double u = static_cast<double>(p / k) - half, v = static_cast<double>(p % k) - half;
        const double g = std::exp(-(u * u + v * v) / 4.5);
        const double s = x[i + p / k][j + p % k].item<double>(), t = y[i + p / k][j + p % k].item<double>();
        w += g, a += g * s, b += g * t, aa += g * s * s, bb += g * t * t, ab += g * s * t;
      }
      a /= w, b /= w;
      const double va = aa / w - a * a, vb = bb / w - b * b, cov = ab / w - a * b;
      total += (2 * a * b + c1) * (2 * cov + c2) / ((a * a + b * b + c1) * (va + vb + c2));
      windows += 1;
    }
  }
  return total / windows;
}

TEST(Ssim, OfAnImageWithItselfIsOneAndOfConstantsIsByHand) {
  const Tensor x = normal(20, {2, 3, 16, 12});
  EXPECT_EQ(ssim(x, x, 2).sizes(), (Shape{2, 3}));
  EXPECT_NEAR((ssim(x, x, 2) - 1).abs().max().item<double>(), 0, 1e-12);
  const double c1 = 1e-4;
  EXPECT_NEAR(
      ssim(at::full({12, 12}, 0.5, at::kDouble), at::full({12, 12}, 0.25, at::kDouble), 1).item<double>(),
      (2 * 0.125 + c1) / (0.25 + 0.0625 + c1), 1e-10);
}

TEST(Ssim, FollowsTheDefinitionAndShrinksItsWindow) {
  const Tensor x = normal(21, {13, 14}), y = x + 0.5 * normal(22, {13, 14});
  EXPECT_NEAR(ssim(x, y, 2).item<double>(), ssim_by_loops(x, y, 11, 2), 1e-12);
  EXPECT_GT(std::abs(ssim(x, y, 2).item<double>() - ssim_by_loops(x, y, 9, 2)), 1e-4);
  const Tensor small = x.slice(0, 0, 6), other = y.slice(0, 0, 6);
  EXPECT_NEAR(ssim(small, other, 2).item<double>(), ssim_by_loops(small, other, 5, 2), 1e-12);
  EXPECT_NEAR(ssim(x.slice(1, 0, 1), y.slice(1, 0, 1), 2).item<double>(),
              ssim_by_loops(x.slice(1, 0, 1), y.slice(1, 0, 1), 1, 2), 1e-12);
}

TEST(Compare, AgreesOnEqualLawsAndNotOnOthers) {
  const Tensor a = normal(23, {150, 3}), b = normal(24, {120, 3});
  const Comparison same = compare(a, b), other = compare(a, b + 0.7);
  EXPECT_EQ(same.rows_b, 120);
  EXPECT_EQ(same.dimension, 3);
  EXPECT_GT(same.energy_p_value, 0.01);
  EXPECT_LT(std::abs(same.sliced_z), 4);
  EXPECT_LT(same.mean.absolute, 3 * same.mean.standard_error);
  EXPECT_LT(same.covariance.absolute, 3 * same.covariance.standard_error);
  EXPECT_LE(other.energy_p_value, 0.01);
  EXPECT_GT(other.sliced_z, 10);
  EXPECT_GT(other.sliced_ratio, 2);
  EXPECT_GT(other.mean.absolute, 5 * other.mean.standard_error);
}

// N(0, 4) reweighted to N(0, 1)
TEST(Compare, UsesLogWeights) {
  const Tensor a = 2 * normal(25, {500, 1}), b = normal(26, {300, 1});
  const Tensor log_weight = (-a.square() / 2 + a.square() / 8).squeeze(1);
  const Comparison weighted = compare({a, log_weight}, b), plain = compare(a, b);
  EXPECT_GT(weighted.energy_p_value, 0.01);
  EXPECT_LE(plain.energy_p_value, 0.01);
  EXPECT_LT(weighted.sliced_wasserstein, 0.3 * plain.sliced_wasserstein);
  EXPECT_LT(weighted.covariance.relative, 0.3);
}

TEST(Metrics, BadInputIsNamed) {
  const Tensor a = normal(27, {4, 3});
  Tensor bad = a.clone();
  bad[2][1] = NAN;
  EXPECT_THROW(sliced_wasserstein(a, normal(1, {4, 2})), Error);
  EXPECT_THROW(sliced_wasserstein(a, bad), Error);
  EXPECT_THROW(sliced_wasserstein(a, a.slice(0, 0, 0)), Error);
  EXPECT_THROW(sliced_wasserstein(a, a, {0}), Error);
  EXPECT_THROW(wasserstein_1d(a, a), Error);
  EXPECT_THROW(energy_distance_unbiased(a, a.slice(0, 0, 1)), Error);
  EXPECT_THROW(mean_error({a, at::zeros({3})}, a), Error);
  EXPECT_THROW(mean_error({a, at::full({4}, -INFINITY)}, a), Error);
  EXPECT_THROW(psnr(a, a, 0), Error);
  EXPECT_THROW(psnr(a, a.slice(0, 0, 2), 1), Error);
  EXPECT_THROW(ssim(a, bad, 1), Error);
}

}  // namespace
}  // namespace tweedie
