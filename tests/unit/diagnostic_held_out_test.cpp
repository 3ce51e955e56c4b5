// Predicting a second measurement: exact p-values for exact draws, power against wrong ones.

#include "core/special.h"
#include "diagnostic_gaussian.h"
#include "tweedie/diagnostics.h"
#include "tweedie/error.h"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

using test::chain;
using test::every;
using test::GaussianProblem;
using Status = Finding::Status;

struct Predicted {
  Tensor z, of_draws;  // (cases, d), (n, cases, d): all of x, with noise
};

Predicted predict(const Tensor& x, const Tensor& draws, uint64_t seed, double noise_std) {
  Noise noise(seed);
  return {x + noise_std * noise.normal(x.sizes(), at::kDouble),
          draws + noise_std * noise.normal(draws.sizes(), at::kDouble)};
}

// z as many independent numbers, each with its own variance: what ignores that entries share their error
double p_as_if_independent(const Predicted& p) {
  const double m = static_cast<double>(p.z.numel());
  const double t = ((p.z - p.of_draws.mean(0)).square() / p.of_draws.var(0)).sum().item<double>();
  return 2 * std::min(chi2_cdf(t, m), chi2_tail(t, m));
}

TEST(HeldOut, PValuesOfExactDrawsAreUniformAndNaivelyFarFromIt) {
  const GaussianProblem problem(chain(20, 0.98), every(2, 20), 0.3);
  const int repetitions = 400;
  for (const int64_t cases : {1, 3}) {
    int below_a_fifth = 0, failed = 0, naively = 0;
    for (int r = 0; r < repetitions; ++r) {
      const auto s = problem.simulate(1000 * cases + r, cases, 19);
      const Predicted p = predict(s.x, s.draws, 7000 + r, 0.1);
      const Finding f = held_out(p.z, p.of_draws);
      below_a_fifth += *f.p_value <= 0.2 + 1e-9;
      failed += f.status == Status::fail;
      naively += p_as_if_independent(p) < 0.01;
    }
    const double error = std::sqrt(0.16 * repetitions);
    EXPECT_NEAR(below_a_fifth, 0.2 * repetitions, 4 * error) << cases;
    EXPECT_LE(failed, 0.02 * repetitions) << cases;
    EXPECT_GT(naively, 0.2 * repetitions) << cases;
  }
}

// x has twice the spread that the prior expects, which y, of two noisy coordinates, cannot tell.
TEST(HeldOut, SeesAWrongPriorWhereTheMeasurementIsSilent) {
  const GaussianProblem believed(chain(20, 0.5), every(2, 20), 1), real(4 * chain(20, 0.5), every(2, 20), 1);
  const int64_t cases = 12, n = 19;
  const auto s = real.simulate(3, cases, n);
  Noise noise(4);
  const Tensor draws = s.y.matmul(believed.gain.t()) +
                       noise.normal({n, cases, 20}, at::kDouble).matmul(believed.posterior_root.t());
  const Predicted p = predict(s.x, draws, 5, 0.1), right = predict(s.x, s.draws, 5, 0.1);
  const Finding wrong = held_out(p.z, p.of_draws);
  EXPECT_EQ(wrong.status, Status::fail) << wrong.message;
  EXPECT_GT(wrong.value, 2);
  EXPECT_LT(*wrong.p_value, 1e-4);
  EXPECT_EQ(held_out(right.z, right.of_draws).status, Status::pass);
}

TEST(HeldOut, DrawsThatAreTooWideOrTooNarrowFail) {
  const GaussianProblem problem(chain(30, 0.5), every(5, 30), 0.3);
  const auto verdict_on = [&](double std_scale) {
    const auto s = problem.simulate(9, 12, 19, 1, std_scale);
    const Predicted p = predict(s.x, s.draws, 10, 0.05);
    return held_out(p.z, p.of_draws);
  };
  EXPECT_EQ(verdict_on(1).status, Status::pass);
  EXPECT_EQ(verdict_on(2).status, Status::fail);
  EXPECT_EQ(verdict_on(0.5).status, Status::fail);
  EXPECT_LT(verdict_on(2).value, 0.5);
  EXPECT_GT(verdict_on(0.5).value, 2);
}

// With one case ranks allow no p below 0.1; the size of the error still warns.
TEST(HeldOut, OneCaseThatIsFarOffWarns) {
  Noise noise(11);
  const Tensor draws = noise.normal({19, 1, 50}, at::kDouble);
  const Finding f = held_out(3 * noise.normal({1, 50}, at::kDouble), draws);
  EXPECT_EQ(f.status, Status::warn) << f.message;
  EXPECT_EQ(held_out(noise.normal({1, 50}, at::kDouble), draws).status, Status::pass);
}

TEST(HeldOut, EntriesThatNeverVaryHaveNoScaleOfTheirOwn) {
  Noise noise(12);
  const Tensor draws =
      at::cat({noise.normal({9, 1, 20}, at::kDouble), at::zeros({9, 1, 20}, at::kDouble)}, 2);
  const Tensor z = at::cat({noise.normal({1, 20}, at::kDouble), at::zeros({1, 20}, at::kDouble)}, 1);
  EXPECT_EQ(held_out(z, draws).status, Status::pass);
  EXPECT_EQ(held_out(at::zeros({1, 3}), at::zeros({9, 1, 3})).value, 1);
  const Finding collapsed = held_out(at::ones({1, 3}), at::zeros({9, 1, 3}));
  EXPECT_EQ(collapsed.status, Status::warn);
  EXPECT_GT(collapsed.value, 1e9);  // infinite but for rounding
}

// One number, few draws: T_0 has the tails of Student's t of 4 degrees of freedom.
TEST(HeldOut, FewExactDrawsOfOneNumberNeverFail) {
  Noise noise(13);
  int failed = 0;
  for (int r = 0; r < 400; ++r)
    failed += held_out(noise.normal({1, 1}, at::kDouble), noise.normal({5, 1, 1}, at::kDouble)).status ==
              Status::fail;
  EXPECT_EQ(failed, 0);
}

TEST(HeldOut, FewDrawsAreSkippedAndBadInputIsNamed) {
  EXPECT_EQ(held_out(at::zeros({2, 3}), at::zeros({4, 2, 3})).status, Status::skipped);
  EXPECT_THROW(held_out(at::zeros({2, 3}), at::zeros({9, 3, 2})), Error);
  EXPECT_THROW(held_out(at::full({2, 3}, NAN), at::zeros({9, 2, 3})), Error);
}

}  // namespace
}  // namespace tweedie
