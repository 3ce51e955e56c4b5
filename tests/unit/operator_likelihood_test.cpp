#include "core/shape.h"
#include "tweedie/likelihood.h"
#include "tweedie/operators.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

// y = x^2, not linear
class Square final : public ForwardOperator {
 public:
  Shape domain() const override { return {3}; }
  Shape codomain() const override { return {3}; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return x.square(); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return 2 * x * v; }
};

TEST(GaussianLikelihood, LogDensityInClosedForm) {
  const GaussianLikelihood likelihood(make_downsample({2, 4}, 2), 0.5);
  const Tensor x = at::arange(16, at::kDouble).view({2, 2, 4});  // averages 2.5, 4.5 and 10.5, 12.5
  const Tensor y = at::tensor({2.0, 5.0}, at::kDouble).view({1, 2});
  const double constant = -2 * std::log(0.5) - std::log(2 * M_PI);
  const double first = -(0.25 + 0.25) / (2 * 0.25), second = -(8.5 * 8.5 + 7.5 * 7.5) / (2 * 0.25);
  const Tensor value = likelihood.log_prob(y, x);
  EXPECT_NEAR(value[0].item<double>(), first + constant, 1e-12);
  EXPECT_NEAR(value[1].item<double>(), second + constant, 1e-12);
  EXPECT_TRUE(at::equal(likelihood.log_prob(y.expand({2, 1, 2}), x), value));
  EXPECT_NEAR(likelihood.residual_chi2(y, x)[0].item<double>(), 1, 1e-12);
  EXPECT_EQ(likelihood.log_prob(y, x.to(at::kFloat)).scalar_type(), at::kDouble);
}

TEST(GaussianLikelihood, KnowsWhetherItIsLinear) {
  const GaussianLikelihood linear(make_identity({3}), 1), square(std::make_shared<Square>(), 1);
  EXPECT_EQ(linear.linear(), &linear.forward());
  EXPECT_EQ(square.linear(), nullptr);
  const Tensor x = at::tensor({1., 2., 3.}, at::kDouble).view({1, 3});
  EXPECT_NEAR(square.residual_chi2(x, x)[0].item<double>(), (0 + 4 + 36) / 3., 1e-12);
}

// Whether measurements y (B, m) of a known mean are N(mean, std^2 I), by their mean and variance at 5
// standard errors.
bool is_gaussian_noise(const Tensor& y, const Tensor& mean, double std) {
  const Tensor n = (y - mean) / std;
  const auto count = static_cast<double>(n.numel());
  return std::abs(n.mean().item<double>()) < 5 / std::sqrt(count) &&
         std::abs(n.square().mean().item<double>() - 1) < 5 * std::sqrt(2 / count);
}

TEST(GaussianLikelihood, SimulatesItsNoise) {
  const auto forward = make_mask(random_mask({1, 10, 10}, 0.4, Noise(1)));
  const GaussianLikelihood likelihood(forward, 0.3), too_loud(forward, 0.31);
  const Tensor x = Noise(2).normal({1000, 1, 10, 10}, at::kDouble);
  Noise noise(3), same(3), other(3);
  const Tensor y = likelihood.simulate(x, noise);
  EXPECT_TRUE(is_gaussian_noise(y, forward->apply(x), 0.3));
  EXPECT_FALSE(is_gaussian_noise(too_loud.simulate(x, other), forward->apply(x), 0.3));
  EXPECT_TRUE(at::equal(likelihood.simulate(x.narrow(0, 0, 3), same), y.narrow(0, 0, 3)));
  EXPECT_EQ(noise.step(), 1u);

  // chi2 at the truth: mean 1, variance 2 / m for each row
  const double error = 5 * std::sqrt(2.0 / 40 / 1000);
  EXPECT_NEAR(likelihood.residual_chi2(y, x).mean().item<double>(), 1, error);
  EXPECT_NEAR(likelihood.residual_chi2(y, x).var().item<double>(), 2.0 / 40,
              5 * 2.0 / 40 * std::sqrt(3.0 / 1000));
  EXPECT_GT(std::abs(too_loud.residual_chi2(y, x).mean().item<double>() - 1), error);
}

TEST(GaussianLikelihood, WithoutNoiseHasNoDensity) {
  const auto forward = make_downsample({2, 4}, 2);
  const GaussianLikelihood likelihood(forward, 0);
  const Tensor x = Noise(4).normal({3, 2, 4}, at::kDouble);
  Noise noise(5);
  const Tensor y = likelihood.simulate(x, noise);
  EXPECT_TRUE(at::equal(y, forward->apply(x)));
  EXPECT_THROW(likelihood.log_prob(y, x), Error);
  EXPECT_THROW(likelihood.residual_chi2(y, x), Error);
}

TEST(GaussianLikelihood, RefusesBadInput) {
  const auto a = make_identity({3});
  for (const double std : {-1.0, double{NAN}, double{INFINITY}})
    EXPECT_THROW(GaussianLikelihood(a, std), Error);
  EXPECT_THROW(GaussianLikelihood(nullptr, 1), Error);
  const GaussianLikelihood likelihood(a, 1);
  const Tensor x = at::zeros({2, 3}, at::kDouble);
  EXPECT_THROW(likelihood.log_prob(at::zeros({4}, at::kDouble), x), Error);
  EXPECT_THROW(likelihood.log_prob(at::zeros({5, 3}, at::kDouble), x), Error);
  EXPECT_THROW(likelihood.log_prob(at::zeros({3}, at::kLong), x), Error);
  EXPECT_THROW(likelihood.log_prob(x, at::zeros({2, 4}, at::kDouble)), Error);
}

}  // namespace
}  // namespace tweedie
