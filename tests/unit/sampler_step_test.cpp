#include "tweedie/ddim.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/heun.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const GaussianPrior& prior() {
  static const GaussianPrior p = GaussianPrior::full(normal({3}, 1), random_covariance(3, 2));
  return p;
}

// x_s = sqrt(abar_s) D + sqrt(1 - abar_s - c^2) eps + c z, the DDIM paper's own coordinates
TEST(Ddim, IsThePapersStep) {
  const double abar_t = 0.3, abar_s = 0.7, eta = 0.6;
  const double t = std::sqrt((1 - abar_t) / abar_t), s = std::sqrt((1 - abar_s) / abar_s);
  const double c = eta * std::sqrt((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s));
  const Tensor x_t = normal({4, 3}, 3), d = prior().mean(x_t / std::sqrt(abar_t), t);
  const Tensor eps = (x_t - std::sqrt(abar_t) * d) / std::sqrt(1 - abar_t);
  const Tensor z = normal({4, 3}, 4);
  const Tensor expected = std::sqrt(abar_s) * d + std::sqrt(1 - abar_s - c * c) * eps + c * z;
  Noise noise(4);
  const Tensor ours =
      Ddim({.eta = eta}).step(prior(), x_t / std::sqrt(abar_t), t, s, noise) * std::sqrt(abar_s);
  EXPECT_LT(max_difference(ours, expected), 1e-13);
}

TEST(Ddim, EndsAtTheDenoised) {
  const Tensor x = normal({4, 3}, 5);
  Noise noise(1);
  EXPECT_TRUE(at::equal(Ddim({.eta = 1}).step(prior(), x, 0.4, 0, noise), prior().mean(x, 0.4)));
  EXPECT_TRUE(at::equal(Heun({}, 10).step(prior(), x, 0.4, 0, noise), prior().mean(x, 0.4)));
}

TEST(Heun, ChurnIsAlgorithmTwo) {
  const HeunOptions options{.s_churn = 3, .s_min = 0.1, .s_max = 5, .s_noise = 1.01};
  const Heun heun(options, 10);
  const double t = 2, s = 1.2, hat = 1.3 * t;
  const Tensor x = normal({4, 3}, 6), z = normal({4, 3}, 7);
  const Tensor noisy = x + 1.01 * std::sqrt(hat * hat - t * t) * z;
  const Tensor d = (noisy - prior().mean(noisy, hat)) / hat, euler = noisy + (s - hat) * d;
  const Tensor d_end = (euler - prior().mean(euler, s)) / s;
  Noise noise(7);
  EXPECT_LT(max_difference(heun.step(prior(), x, t, s, noise), noisy + (s - hat) * (d + d_end) / 2), 1e-14);
  // Outside [s_min, s_max] nothing is added; above sqrt(2) - 1 per step it is capped.
  Noise outside(7);
  EXPECT_TRUE(at::equal(heun.step(prior(), x, 6, 5, outside), Heun({}, 10).step(prior(), x, 6, 5, outside)));
  EXPECT_EQ(outside.step(), 0);
  Noise one(7), two(7);
  EXPECT_TRUE(at::equal(Heun({.s_churn = 1000}, 10).step(prior(), x, t, s, one),
                        Heun({.s_churn = 2000}, 10).step(prior(), x, t, s, two)));
}

TEST(Sampler, KeepsDtypeAndCountsEvaluations) {
  const Tensor x = normal({4, 3}, 8, at::kFloat) * 80;
  Noise noise(2);
  const NoiseSchedule schedule = make_schedule(Karras{}, 18);
  const Heun heun({.s_churn = 5}, 18);
  const Tensor single = walk(prior(), heun, schedule, x, noise);
  EXPECT_EQ(single.scalar_type(), at::kFloat);
  EXPECT_EQ(heun.total_evaluations(18), 35);
  EXPECT_EQ(Ddim().total_evaluations(18), 18);
}

TEST(Sampler, BadInputIsNamed) {
  const Tensor x = normal({4, 3}, 9);
  Noise noise(1);
  expect_error([&] { Ddim().step(prior(), x, 1, 2, noise); }, {"sampler.step", "1", "2"});
  expect_error([&] { Ddim().step(prior(), x, 1, -1, noise); }, {"sampler.step", "-1"});
  expect_error([] { Ddim({.eta = 1.5}); }, {"sampler.eta", "1.5"});
  expect_error([] { Ddim({.eta = NAN}); }, {"sampler.eta", "nan"});
  expect_error([] { Heun({.s_churn = -1}, 5); }, {"sampler.s_churn", "-1"});
  expect_error([] { Heun({.s_noise = 0}, 5); }, {"sampler.s_noise", "0"});
  expect_error([] { Heun({.s_min = 2, .s_max = 1}, 5); }, {"sampler.s_min", "2", "1"});
  expect_error([] { Heun({}, 0); }, {"sampler.steps", "0"});
}

}  // namespace
}  // namespace tweedie
