// The number of steps, weights, finiteness, and the verdict.

#include "tweedie/diagnostics.h"
#include "tweedie/error.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

using Status = Finding::Status;

Tensor normal(uint64_t seed, at::IntArrayRef shape) {
  return Noise(seed).normal(shape, at::kDouble);
}

TEST(StepsEnough, PairsThatAgreePass) {
  const Tensor full = normal(1, {16, 2, 30});
  const Finding f = steps_enough(full, full + 0.02 * normal(2, {16, 2, 30}), 64);
  EXPECT_EQ(f.status, Status::pass) << f.message;
  EXPECT_LT(f.value, 0.02);
  EXPECT_TRUE(f.remedy.empty());
}

// Draws of a stochastic sampler share hardly anything at another number of steps: the mean of 16 differences
// is sqrt(2/16) posterior std from 0 by chance alone, which is not an effect of the steps.
TEST(StepsEnough, IndependentDrawsOfOneLawDontFailAndNaivelyWould) {
  int failed = 0, naively = 0;
  const int repetitions = 200;
  for (int r = 0; r < repetitions; ++r) {
    const int64_t d = r % 2 == 0 ? 1 : 50;
    const Tensor full = normal(100 + r, {16, d}), half = normal(1000 + r, {16, d});
    const Tensor shared = 2 * normal(5000 + r, {16, 1});  // coordinates that move together
    failed += steps_enough(full + shared, half + 2 * normal(9000 + r, {16, 1}), 10).status == Status::fail;
    failed += steps_enough(full, half, 10).status == Status::fail;
    naively += (full - half).mean(0).square().mean().item<double>() > 0.01;
  }
  EXPECT_LE(failed, 2);
  EXPECT_GT(naively, repetitions / 2);
}

TEST(StepsEnough, AShiftOrAChangeOfSpreadFails) {
  const Tensor full = normal(3, {16, 40}), jitter = 0.05 * normal(4, {16, 40});
  const Finding shifted = steps_enough(full, full + 0.3 + jitter, 32);
  EXPECT_EQ(shifted.status, Status::fail) << shifted.message;
  EXPECT_NEAR(shifted.value, 0.3, 0.03);
  EXPECT_EQ(shifted.remedy, "double the steps to 64");
  const Finding narrower = steps_enough(full, 0.7 * full + jitter, 32);
  EXPECT_EQ(narrower.status, Status::fail) << narrower.message;
  EXPECT_EQ(steps_enough(full, 1.4 * full + jitter, 32).status, Status::fail);
}

// The probability-flow ODE of N(0, 1) by Euler steps in sigma from 10 to 0: dx/dsigma = x sigma / (1 +
// sigma^2).
Tensor euler(Tensor x, int steps) {
  for (int k = 0; k < steps; ++k) {
    const double sigma = 10.0 * (steps - k) / steps;
    x = x * (1 - (10.0 / steps) * sigma / (1 + sigma * sigma));
  }
  return x;
}

TEST(StepsEnough, TooFewEulerStepsFailAndManyPass) {
  const Tensor start = std::sqrt(101.0) * normal(5, {32, 5});
  EXPECT_EQ(steps_enough(euler(start, 16), euler(start, 8), 16).status, Status::fail);
  EXPECT_EQ(steps_enough(euler(start, 800), euler(start, 400), 800).status, Status::pass);
}

TEST(StepsEnough, FewOrConstantDrawsAreSkipped) {
  EXPECT_EQ(steps_enough(normal(6, {3, 4}), normal(7, {3, 4}), 8).status, Status::skipped);
  EXPECT_EQ(steps_enough(at::ones({8, 4}), at::ones({8, 4}), 8).status, Status::skipped);
  EXPECT_THROW(steps_enough(at::ones({8, 4}), at::ones({8, 3}), 8), Error);
}

TEST(Weights, EffectiveSampleSizeIsByHand) {
  const Finding f = weights(at::tensor({1.0, 1.0, 2.0}, at::kDouble).log() - 500);
  EXPECT_NEAR(f.value, 16.0 / 6, 1e-12);
  EXPECT_EQ(f.status, Status::fail);
  const Tensor spread = 0.5 * normal(8, {1000});
  EXPECT_EQ(weights(spread).status, Status::pass);
  EXPECT_NEAR(weights(spread).value / 1000, std::exp(-0.25), 0.06);  // log-normal weights
  EXPECT_EQ(weights(20 * spread).status, Status::fail);
  EXPECT_EQ(weights(at::zeros({5})).status, Status::skipped);
  EXPECT_EQ(weights(at::full({50}, -INFINITY)).status, Status::fail);
  EXPECT_EQ(weights(at::full({50}, NAN)).status, Status::fail);
  EXPECT_THROW(weights(at::zeros({5, 2})), Error);
}

TEST(Finite, CountsWhatIsNot) {
  Tensor draws = normal(9, {4, 3});
  EXPECT_EQ(finite(draws).status, Status::pass);
  draws[1][2] = NAN;
  draws[3][0] = INFINITY;
  EXPECT_EQ(finite(draws).status, Status::fail);
  EXPECT_EQ(finite(draws).value, 2);
}

TEST(VerdictOnFindings, NamesWhatFailed) {
  const Finding good{"coverage", Status::pass, 0.9, {}, "", ""}, bad{"weights", Status::fail, 3, {}, "", ""};
  const Finding doubtful{"data-consistency", Status::warn, 1, {}, "", ""};
  const Finding skipped{"steps-enough", Status::skipped, NAN, {}, "", ""};
  EXPECT_TRUE(verdict({good, skipped}).trusted);
  EXPECT_TRUE(verdict({good, doubtful}).trusted);
  EXPECT_NE(verdict({good, doubtful}).sentence.find("data-consistency"), std::string::npos);
  EXPECT_FALSE(verdict({good, bad}).trusted);
  EXPECT_NE(verdict({good, bad}).sentence.find("weights"), std::string::npos);
  EXPECT_EQ(verdict({good, bad}).sentence.find("coverage"), std::string::npos);
  EXPECT_FALSE(verdict({skipped}).trusted);
  EXPECT_FALSE(verdict({}).trusted);
}

}  // namespace
}  // namespace tweedie
