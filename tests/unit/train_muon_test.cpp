// Muon's arithmetic against its formulas in double, with a wrong one beside each.

#include "train/muon.h"

#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {

namespace {

double distance(const Tensor& a, const Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

// U f(f(... S / |S|)) V^T of G = U S V^T, f the iteration on one singular value
Tensor through_singular_values(const Tensor& gradient, int steps) {
  const auto [u, s, v] = at::svd(gradient.to(at::kDouble));
  Tensor value = s / s.norm();
  for (int i = 0; i < steps; ++i) value = 3.4445 * value - 4.7750 * value.pow(3) + 2.0315 * value.pow(5);
  return u.mm(value.diag()).mm(v.t());
}

class PolarFactor : public testing::TestWithParam<std::pair<int64_t, int64_t>> {};

TEST_P(PolarFactor, IsThatOfTheSingularValues) {
  const auto [rows, columns] = GetParam();
  Noise noise(1);
  // Singular values over two orders of magnitude
  const Tensor scale = at::logspace(0, -2, columns, 10, at::kDouble).to(at::kFloat);
  const Tensor g = noise.normal({rows, columns}, at::kFloat) * scale;
  const Tensor factor = polar_factor(g);
  EXPECT_LT(distance(factor, through_singular_values(g, 5)), 1e-3);
  EXPECT_GT(distance(factor, through_singular_values(g, 4)), 0.05);
}

TEST_P(PolarFactor, IsNearlyOrthogonalWhereTheGradientIsNot) {
  const auto [rows, columns] = GetParam();
  const Tensor g = Noise(2).normal({rows, columns}, at::kFloat);
  const Tensor values = std::get<1>(at::svd(polar_factor(g)));
  EXPECT_GT(values.min().item<float>(), 0.6);
  EXPECT_LT(values.max().item<float>(), 1.3);
  if (rows != columns) return;
  const Tensor own = std::get<1>(at::svd(g));
  EXPECT_LT(own.min().item<float>() / own.max().item<float>(), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Shapes, PolarFactor,
                         testing::Values(std::pair{40, 40}, std::pair{24, 100}, std::pair{100, 24}));

TEST(Muon, OfNoGradientIsNoStep) {
  EXPECT_EQ(polar_factor(at::zeros({20, 30})).abs().max().item<float>(), 0);
}

class MuonOf : public testing::TestWithParam<std::vector<int64_t>> {};

TEST_P(MuonOf, StepIsTheFormula) {
  Noise noise(3);
  const bool kernel = GetParam().size() == 4;
  const auto normal = [&] {
    const Tensor x = noise.normal(GetParam(), at::kFloat);
    return kernel ? x.contiguous(at::MemoryFormat::ChannelsLast) : x;
  };
  const Tensor g = normal(), w = normal(), m = normal(), average = normal();
  const MuonStep step{.clip = 0.5F, .rate = 0.01F, .mix = 0.2F, .keep = 0.9F};
  const auto real = [](const Tensor& x) { return x.to(at::kDouble); };
  const Tensor m1 = 0.95 * real(m) + 0.5 * real(g);
  const auto stepped = [&](const Tensor& direction) {
    const Tensor matrix = direction.flatten(1);
    const double size = 0.2 * std::sqrt(static_cast<double>(std::max(matrix.size(0), matrix.size(1))));
    return 0.9 * real(w) - 0.01 * size * through_singular_values(matrix, 5).view(direction.sizes());
  };
  const Tensor w1 = stepped(0.5 * real(g) + 0.95 * m1), without_lookahead = stepped(m1);
  const Tensor average1 = real(average) + 0.2 * (w1 - real(average));

  const Tensor weight = w.clone(), moment = m.clone(), mean = average.clone();
  muon_step(step, g, {weight, moment, mean});
  EXPECT_LT(distance(moment, m1), 1e-6);
  EXPECT_LT(distance(weight, w1), 1e-5);
  EXPECT_LT(distance(mean, average1), 1e-5);
  EXPECT_GT(distance(weight, without_lookahead), 5e-4);
}

INSTANTIATE_TEST_SUITE_P(Shapes, MuonOf,
                         testing::Values(std::vector<int64_t>{20, 30}, std::vector<int64_t>{20, 4, 3, 3}));

TEST(Muon, TakesMatricesThatAreNotSmall) {
  EXPECT_TRUE(is_matrix(at::zeros({16, 16})));
  EXPECT_TRUE(is_matrix(at::zeros({16, 2, 3, 3})));
  EXPECT_FALSE(is_matrix(at::zeros({15, 100})));
  EXPECT_FALSE(is_matrix(at::zeros({16, 15})));
  EXPECT_FALSE(is_matrix(at::zeros({256})));
}

}  // namespace
}  // namespace tweedie
