// Total variation and its proximal map.
#include "posterior/total_variation.h"

#include "core/workers.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

Tensor prox(const Tensor& z, double weight, int64_t steps = 4000, double tolerance = 1e-13,
            bool joint = true) {
  TotalVariation tv(z.sizes().vec(), z.scalar_type(), joint);
  Tensor x = at::empty_like(z);
  tv.prox(z, weight, steps, tolerance, x);
  return x;
}

// (2, C, H, W)
Tensor differences(const Tensor& x) {
  Tensor d = at::zeros({2, x.size(0), x.size(1), x.size(2)}, x.options());
  d[0].slice(1, 0, -1).copy_(x.slice(1, 1) - x.slice(1, 0, -1));
  d[1].slice(2, 0, -1).copy_(x.slice(2, 1) - x.slice(2, 0, -1));
  return d;
}

double objective(const Tensor& x, const Tensor& z, double weight) {
  const Tensor variation = differences(x).square().sum(std::vector<int64_t>{0, 1}).sqrt().sum();
  return (0.5 * (x - z).square().sum() + weight * variation).item<double>();
}

TEST(TotalVariation, PrimalHasTheTransposeOfTheDifferences) {
  const Planes size{2, 5, 7};
  const Tensor x = normal({2, 5, 7}, 1);
  Tensor p = normal({2, 2, 5, 7}, 2);
  p[0].select(1, 4).zero_();  // no difference there
  p[1].select(2, 6).zero_();
  const Tensor z = at::zeros_like(x), transposed = at::empty_like(x);  // 0 - (-1) D^T p
  tv_primal<double>(size, z.data_ptr<double>(), p.data_ptr<double>(), -1, 0, 5,
                    transposed.data_ptr<double>());
  EXPECT_NEAR((differences(x) * p).sum().item<double>(), (x * transposed).sum().item<double>(), 1e-12);
}

TEST(TotalVariation, ValueIsTheSumOfTheGradientsLengths) {
  const Tensor x = normal({3, 6, 9}, 3);
  const TotalVariation joint({3, 6, 9}, at::kDouble, true), separate({3, 6, 9}, at::kDouble, false);
  const Tensor squares = differences(x).square().sum(0);  // (C, H, W)
  EXPECT_NEAR(joint.value(x), squares.sum(0).sqrt().sum().item<double>(), 1e-12);
  EXPECT_NEAR(separate.value(x), squares.sqrt().sum().item<double>(), 1e-12);
}

// Levels 0 and h on a and b samples move inwards by w / a and w / b until they meet in the mean.
TEST(TotalVariation, ProxOfAStepIsTheClosedForm) {
  const int64_t a = 5, b = 3;
  const double h = 2;
  Tensor z = at::zeros({a + b}, at::kDouble);
  z.slice(0, a).fill_(h);
  for (const double w : {0.3, 1.0, 3.0, 5.0}) {
    const bool apart = w / a + w / b < h;
    Tensor exact = at::full({a + b}, h * b / (a + b), at::kDouble);
    if (apart) {
      exact.slice(0, 0, a).fill_(w / a);
      exact.slice(0, a).fill_(h - w / b);
    }
    EXPECT_LT(max_difference(prox(z, w), exact), 1e-6) << w;
    // A wrong one: half the weight
    EXPECT_GT(max_difference(prox(z, w / 2), exact), w < 4 ? 1e-2 : -1) << w;
  }
}

TEST(TotalVariation, ConstantImageIsFixed) {
  const Tensor z = at::full({1, 9, 8}, 3.5, at::kDouble);
  EXPECT_EQ(max_difference(prox(z, 2), z), 0);
}

TEST(TotalVariation, GapClosesAndBoundsTheDistance) {
  const Tensor z = normal({2, 12, 10}, 5);
  const Tensor exact = prox(z, 0.4, 20000, 1e-15);
  TotalVariation tv({2, 12, 10}, at::kDouble, true);
  Tensor x = at::empty_like(z);
  double last = INFINITY;
  for (int rounds = 0; rounds < 5; ++rounds) {
    const auto done = tv.prox(z, 0.4, 20, 1e-300, x);  // each goes on from the last one's dual
    EXPECT_LT(done.gap, last);
    EXPECT_GE(done.gap, 0.5 * (x - exact).square().sum().item<double>() - 1e-12);
    EXPECT_GE(done.gap, objective(x, z, 0.4) - objective(exact, z, 0.4) - 1e-12);
    last = done.gap;
  }
  // No neighbour of the answer is better.
  for (uint64_t seed = 0; seed < 4; ++seed) {
    EXPECT_LT(objective(exact, z, 0.4), objective(exact + 1e-3 * normal({2, 12, 10}, 10 + seed), z, 0.4));
  }
}

TEST(TotalVariation, JointGradientsAreAnotherPenalty) {
  const Tensor z = normal({2, 8, 8}, 6);
  const Tensor each = at::stack({prox(z[0], 0.3), prox(z[1], 0.3)});
  EXPECT_LT(max_difference(prox(z, 0.3, 4000, 1e-13, false), each), 1e-5);
  EXPECT_GT(max_difference(prox(z, 0.3), each), 1e-2);
}

TEST(TotalVariation, BandsChangeNoBit) {
  Workers workers(4);
  for (const at::ScalarType dtype : {at::kFloat, at::kDouble}) {
    const Tensor z = normal({2, 300, 301}, 7, dtype);
    Tensor one = at::empty_like(z), many = at::empty_like(z);
    TotalVariation alone(z.sizes().vec(), dtype, true);
    const auto a = alone.prox(z, 0.5, 12, 1e-30, one);
    const UseWorkers use(workers);
    TotalVariation four(z.sizes().vec(), dtype, true);
    const auto b = four.prox(z, 0.5, 12, 1e-30, many);
    EXPECT_TRUE(at::equal(one, many));
    EXPECT_EQ(a.gap, b.gap);
  }
}

TEST(TotalVariation, SinglePrecisionFollowsDouble) {
  const Tensor z = normal({1, 20, 33}, 8);
  EXPECT_LT(max_difference(prox(z.to(at::kFloat), 0.4, 200, 0), prox(z, 0.4, 200, 0)), 1e-5);
}

}  // namespace
}  // namespace tweedie
