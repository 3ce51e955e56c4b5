#include "tweedie/noise.h"

#include "check_tensor.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <set>

namespace tweedie {
namespace {

using Counter = std::array<uint32_t, 4>;

// The known answers that Random123 publishes for philox4x32-10
TEST(Philox, KnownAnswers) {
  EXPECT_EQ(philox({0, 0, 0, 0}, {0, 0}), (Counter{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  const uint32_t ones = 0xffffffff;
  EXPECT_EQ(philox({ones, ones, ones, ones}, {ones, ones}),
            (Counter{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Counter{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

// z of the first four moments of n values, whose k-th power has the given mean and variance
double worst_moment_z(const Tensor& x, const std::vector<std::pair<double, double>>& moments) {
  double worst = 0;
  for (size_t k = 0; k < moments.size(); ++k) {
    const double mean = x.pow(static_cast<double>(k + 1)).mean().item<double>();
    const double error = std::sqrt(moments[k].second / static_cast<double>(x.numel()));
    worst = std::max(worst, std::abs(mean - moments[k].first) / error);
  }
  return worst;
}

TEST(Noise, NormalAndUniformHaveTheirMoments) {
  const std::vector<std::pair<double, double>> gaussian{{0, 1}, {1, 2}, {0, 15}, {3, 96}};
  const std::vector<std::pair<double, double>> flat{
      {1 / 2., 1 / 12.}, {1 / 3., 4 / 45.}, {1 / 4., 9 / 112.}, {1 / 5., 16 / 225.}};
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const Tensor n = Noise(1).normal({200, 1001}, dtype).to(at::kDouble);
    const Tensor u = Noise(1).uniform({200, 1001}, dtype).to(at::kDouble);
    EXPECT_LT(worst_moment_z(n, gaussian), 4.5);
    EXPECT_LT(worst_moment_z(u, flat), 4.5);
    EXPECT_GT(worst_moment_z(u, gaussian), 10);
    EXPECT_GT(worst_moment_z(1.02 * n, gaussian), 6);
  }
}

// Kolmogorov-Smirnov: sqrt(n) times the largest distance of the distribution functions is below 2.2 but for
// one in ten thousand.
double kolmogorov(const Tensor& uniform) {
  const Tensor sorted = std::get<0>(uniform.flatten().to(at::kDouble).sort());
  const double n = static_cast<double>(sorted.numel());
  const Tensor step = (at::arange(sorted.numel(), at::kDouble) + 0.5) / n;
  return std::sqrt(n) * (sorted - step).abs().max().item<double>();
}

TEST(Noise, IsOfTheRightLaw) {
  const Tensor n = Noise(2).normal({300, 333}, at::kDouble);
  EXPECT_LT(kolmogorov(0.5 * (1 + (n / std::sqrt(2.0)).erf())), 2.2);
  EXPECT_LT(kolmogorov(Noise(2).uniform({300, 333}, at::kDouble)), 2.2);
  // The tails that a generator of few bits lacks: P(|n| > 4) = 6.3e-5
  const double far = n.abs().gt(4).sum().item<double>(), expected = 6.334e-5 * 300 * 333;
  EXPECT_NEAR(far, expected, 4.5 * std::sqrt(expected));
  EXPECT_GT(kolmogorov(0.5 * (1 + (n / 1.03 / std::sqrt(2.0)).erf())), 2.2);
}

// Largest |z| of the correlations of x with each of the others, all independent if all is well
double worst_correlation_z(const Tensor& x, const std::vector<Tensor>& others) {
  double worst = 0;
  for (const Tensor& y : others) {
    // The mean of x y has variance 1 / n; so has, but for a factor 2, that of (x^2 - 1)(y^2 - 1).
    const double root = std::sqrt(static_cast<double>(x.numel()));
    worst = std::max(worst, root * std::abs((x * y).mean().item<double>()));
    worst = std::max(worst, root / 2 * std::abs(((x.square() - 1) * (y.square() - 1)).mean().item<double>()));
  }
  return worst;
}

// float32 has numbers of its own, four to a block: with u and v of 31 bits each, sqrt(-2 log u) times cosine
// and sine of v turns.
double single_normal(uint64_t seed, uint64_t draw, uint32_t step, uint32_t i) {
  const auto b = philox({i / 4, step, static_cast<uint32_t>(draw), static_cast<uint32_t>(draw >> 32)},
                        {static_cast<uint32_t>(seed), static_cast<uint32_t>(seed >> 32)});
  const uint32_t first = b[i % 4 / 2 * 2], second = b[i % 4 / 2 * 2 + 1];
  const float u = (static_cast<float>(first >> 1) + 0.5F) * 0x1p-31F;
  const double angle = 2 * std::numbers::pi * static_cast<double>(second >> 1) * 0x1p-31;
  return std::sqrt(-2 * std::log(static_cast<double>(u))) * (i % 2 == 0 ? std::cos(angle) : std::sin(angle));
}

TEST(NoiseSingle, IsBoxMullerOfTheGenerator) {
  const uint64_t seed = 0x123456789ABCDEF;
  const std::vector<uint64_t> draws{5, (uint64_t{3} << 44) + 7, 5, 0xFFFFFFFFFFFFFFFF, 8};
  for (const int64_t size : {1, 3, 4, 63, 64, 66, 80, 131}) {
    Noise noise = Noise(seed).rows(draws);
    noise.seek(9);
    const Tensor x = noise.normal({5, size}, at::kFloat);
    double worst = 0, of_wrong = 0;  // the wrong one counts two numbers to a block
    for (int64_t row = 0; row < 5; ++row) {
      for (int64_t i = 0; i < size; ++i) {
        const double value = x[row][i].item<double>();
        const auto index = static_cast<uint32_t>(i);
        worst = std::max(worst, std::abs(value - single_normal(seed, draws[row], 9, index)));
        const uint32_t other = index / 2 * 4 + index % 2;
        of_wrong = std::max(of_wrong, std::abs(value - single_normal(seed, draws[row], 9, other)));
      }
    }
    EXPECT_LT(worst, 4e-6) << size;  // rounding of numbers up to 6.7
    if (size > 2) EXPECT_GT(of_wrong, 0.1);
  }
}

TEST(NoiseSingle, ARowIsItsDrawAtAnyPlaceAndSize) {
  const Tensor all = Noise(8).normal({50, 131}, at::kFloat);
  for (const int64_t size : {1, 2, 3, 4, 5, 60, 63, 64, 65, 80, 128}) {
    EXPECT_TRUE(at::equal(Noise(8).normal({50, size}, at::kFloat), all.slice(1, 0, size))) << size;
    EXPECT_TRUE(at::equal(Noise(8).rows({49, 3, 3}).normal({3, size}, at::kFloat),
                          at::stack({all[49], all[3], all[3]}).slice(1, 0, size)))
        << size;
    EXPECT_TRUE(at::equal(Noise(8).normal({7, size}, at::kFloat), all.slice(0, 0, 7).slice(1, 0, size)));
  }
  EXPECT_FALSE(at::equal(all[3], all[49]));
}

// p-values below 1e-4 reject: the numbers are fixed, so a failure is the generator's.
TEST(NoiseSingle, IsOfTheRightLaw) {
  const Tensor n = Noise(2).normal({3000, 334}, at::kFloat).to(at::kDouble);
  const auto of_normal = [](const Tensor& x) { return kolmogorov(0.5 * (1 + (x / std::sqrt(2.0)).erf())); };
  EXPECT_LT(of_normal(n), 2.2);
  EXPECT_GT(of_normal(n * 1.01), 2.2);
  for (const auto& [far, probability] : {std::pair{3., 2.6998e-3}, {4., 6.3342e-5}, {4.5, 6.7953e-6}}) {
    const double count = n.abs().gt(far).sum().item<double>();
    const double expected = probability * static_cast<double>(n.numel());
    EXPECT_NEAR(count, expected, 4.5 * std::sqrt(expected)) << far;
    EXPECT_NEAR(n.gt(far).sum().item<double>(), expected / 2, 4.5 * std::sqrt(expected / 2)) << far;
  }
  EXPECT_LT((0.95 * n).abs().gt(3).sum().item<double>(), 2705 - 10 * std::sqrt(2705.0));  // short tails
}

// The four numbers of a block come as two pairs, each from one radius and one angle.
TEST(NoiseSingle, NumbersOfABlockAreIndependent) {
  const Tensor n = Noise(3).normal({1000, 800}, at::kFloat).to(at::kDouble).view({-1, 4});
  const auto pair_law = [](const Tensor& a, const Tensor& b) {
    const Tensor radius = (-0.5 * (a.square() + b.square())).exp();
    const Tensor turn = at::atan2(b, a) / (2 * std::numbers::pi) + 0.5;
    return std::max(kolmogorov(radius), kolmogorov(turn));
  };
  for (int i = 0; i < 4; ++i) {
    for (int j = 0; j < i; ++j) {
      const Tensor a = n.select(1, i), b = n.select(1, j);
      EXPECT_LT(pair_law(a, b), 2.3) << i << " and " << j;  // twelve of them
      EXPECT_LT(worst_correlation_z(a, {b, b.roll(1), b.roll(20)}), 4.8) << i << " and " << j;
    }
  }
  const Tensor a = n.select(1, 0), b = n.select(1, 1);
  EXPECT_GT(pair_law(a, a), 10);
  EXPECT_GT(pair_law(a, 0.99 * b + 0.14 * a), 10);
  EXPECT_GT(worst_correlation_z(a, {b + 0.02 * a}), 4.8);
}

TEST(Noise, UniformIsNeverAnEnd) {
  // A draw whose first number lies within 2^-25 of 1, which float32 rounds to 1 unless it is held back.
  const auto last = [](at::ScalarType dtype) {
    return Noise(3).rows({21'810'899}).uniform({1, 1}, dtype).item<double>();
  };
  EXPECT_EQ(static_cast<float>(last(at::kDouble)), 1.0F);
  EXPECT_LT(last(at::kDouble), 1);
  EXPECT_EQ(last(at::kFloat), 1 - 0x1p-24);
  const Tensor u = Noise(3).uniform({1000, 1000}, at::kFloat);
  EXPECT_GT(u.min().item<double>(), 0);
  EXPECT_LT(u.max().item<double>(), 1);
  EXPECT_TRUE(Noise(4).normal({1000, 1000}, at::kFloat).isfinite().all().item<bool>());
}

TEST(Noise, IsIndependentInEveryArgument) {
  const auto draw = [](Noise noise, uint64_t first_row = 0, uint32_t step = 0) {
    std::vector<uint64_t> rows(100);
    for (uint64_t i = 0; i < 100; ++i) rows[i] = first_row + i;
    noise = noise.rows(rows);
    noise.seek(step);
    return noise.normal({100, 500}, at::kDouble);
  };
  const Noise noise(5);
  const Tensor x = draw(noise);
  const std::vector<Tensor> others{draw(Noise(6)),
                                   draw(Noise(5 + (uint64_t{1} << 32))),  // the upper half of the seed
                                   draw(noise, 100),
                                   draw(noise, uint64_t{1} << 32),  // another case's rows
                                   draw(noise, 0, 1),
                                   draw(noise, 0, 2),
                                   draw(noise.stream(Stream::initial)),
                                   draw(noise.stream(Stream::sampler)),
                                   draw(noise.stream(uint64_t{1} << 32)),
                                   draw(noise.stream(Stream::initial).stream(Stream::sampler)),
                                   draw(noise.stream(Stream::sampler).stream(Stream::initial)),
                                   x.roll({1}, {0}),
                                   x.roll({1}, {1}),
                                   x.roll({2}, {1})};
  EXPECT_LT(worst_correlation_z(x, others), 4.5);
  for (size_t i = 0; i < others.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      EXPECT_LT(worst_correlation_z(others[i], {others[k]}), 4.8) << i << " and " << k;
    }
  }
  // A generator that ignores the step, or adds it to the row
  EXPECT_GT(worst_correlation_z(x, {draw(noise, 0, 0)}), 100);
  EXPECT_GT(worst_correlation_z(x.slice(0, 1), {draw(noise, 1).slice(0, 0, 99)}), 100);
}

TEST(Noise, EachCallIsOneStepAndSeekGoesBack) {
  Noise noise(7);
  EXPECT_EQ(noise.step(), 0U);
  const Tensor first = noise.normal({3, 4}, at::kDouble), second = noise.normal({3, 4}, at::kDouble);
  EXPECT_EQ(noise.step(), 2U);
  EXPECT_FALSE(at::equal(first, second));
  noise.seek(1);
  EXPECT_TRUE(at::equal(noise.normal({3, 4}, at::kDouble), second));
  noise.bits(3);
  noise.permutation(3);
  EXPECT_EQ(noise.step(), 4U);
  EXPECT_EQ(noise.stream(Stream::user).step(), 0U);
}

TEST(Noise, ARowIsItsDrawAtAnyPlaceAndSize) {
  const Tensor all = Noise(8).normal({50, 7}, at::kDouble);
  const Tensor some = Noise(8).rows({49, 3, 3}).normal({3, 7}, at::kDouble);
  EXPECT_TRUE(at::equal(some, at::stack({all[49], all[3], all[3]})));
  // A longer row begins with a shorter one.
  EXPECT_TRUE(at::equal(Noise(8).normal({50, 12}, at::kDouble).slice(1, 0, 7), all));
  // A stream keeps the rows.
  EXPECT_TRUE(at::equal(Noise(8).rows({4}).stream(Stream::user).normal({1, 5}, at::kDouble)[0],
                        Noise(8).stream(Stream::user).normal({9, 5}, at::kDouble)[4]));
  EXPECT_EQ(Noise(8).rows({4}).bits(1)[0], Noise(8).bits(9)[4]);
  Noise of_two = Noise(8).rows({1, 2});
  expect_error([&] { of_two.normal({3, 4}, at::kDouble); }, {"Noise", "3 rows", "2"});
}

TEST(Noise, BadRequestsAreNamed) {
  expect_error([] { Noise(1).normal({}, at::kDouble); }, {"Noise", "axis"});
  expect_error([] { Noise(1).normal({2}, at::kLong); }, {"Noise", "float"});
  EXPECT_EQ(Noise(1).normal({0, 3}, at::kDouble).numel(), 0);
  EXPECT_EQ(Noise(1).normal({3, 0}, at::kDouble).numel(), 0);
}

TEST(Noise, BitsAreFair) {
  const int64_t n = 4000;
  std::vector<double> ones(64);
  std::set<uint64_t> seen;
  for (const uint64_t word : Noise(9).bits(n)) {
    seen.insert(word);
    for (int bit = 0; bit < 64; ++bit) ones[bit] += static_cast<double>(word >> bit & 1);
  }
  EXPECT_EQ(seen.size(), static_cast<size_t>(n));
  for (const double count : ones) EXPECT_NEAR(count, n / 2, 4.5 * std::sqrt(n / 4));
}

// chi2 over the 24 orders of 4 things, from `draws` permutations, in standard deviations from its mean 23
template <class Shuffle>
double order_z(Shuffle shuffle) {
  constexpr int draws = 12000;
  std::vector<double> count(24);
  for (uint32_t i = 0; i < draws; ++i) {
    const std::vector<int64_t> p = shuffle(i);
    int rank = 0;
    for (int a = 0; a < 4; ++a) {
      int smaller = 0;
      for (int b = a + 1; b < 4; ++b) smaller += p[b] < p[a];
      rank = rank * (4 - a) + smaller;
    }
    ++count[rank];
  }
  double chi2 = 0;
  for (const double c : count) chi2 += (c - draws / 24.) * (c - draws / 24.) / (draws / 24.);
  return (chi2 - 23) / std::sqrt(46.0);
}

TEST(Noise, PermutationsAreUniform) {
  Noise noise(10);
  EXPECT_LT(order_z([&](uint32_t) { return noise.permutation(4); }), 5);
  // The common mistake: each place swapped with any other
  Noise wrong(10);
  EXPECT_GT(order_z([&](uint32_t) {
              std::vector<int64_t> p{0, 1, 2, 3};
              const Tensor u = wrong.uniform({1, 4}, at::kDouble);
              for (int i = 0; i < 4; ++i) std::swap(p[i], p[static_cast<int>(4 * u[0][i].item<double>())]);
              return p;
            }),
            20);

  std::vector<int64_t> large = noise.permutation(1000);
  EXPECT_FALSE(std::is_sorted(large.begin(), large.end()));
  std::sort(large.begin(), large.end());
  for (int64_t i = 0; i < 1000; ++i) EXPECT_EQ(large[i], i);
  EXPECT_TRUE(noise.permutation(0).empty());
}

}  // namespace
}  // namespace tweedie
