// Chains whose invariant law is known: MALA keeps it, ULA is off by a known amount.
#include "core/langevin.h"

#include "tweedie/gaussian_prior.h"
#include "tweedie/mala.h"
#include "tweedie/posterior.h"
#include "tweedie/ula.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// At level 0.5 the target is N(0, 2).
const GaussianPrior& prior() {
  static const GaussianPrior p =
      GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::full({1}, 1.75, at::kDouble));
  return p;
}

constexpr int64_t chains = 20000;

// z of the chains' variance after 40 steps, whose standard error is v sqrt(2 / n). From a start of variance
// 1/4, what is left of it is below 1e-6.
double z_of_variance(const Sampler& sampler, double variance) {
  Noise noise(1);
  const Tensor start = 0.5 * normal({chains, 1}, 2);
  const Tensor x = sampler.step(prior(), start, 0.5, 0, noise);
  return (x.square().mean().item<double>() / variance - 1) / std::sqrt(2.0 / chains);
}

TEST(Mala, IsExactWhereUlaIsBiased) {
  const double step = 1;
  EXPECT_LT(std::abs(z_of_variance(Mala({.iterations = 40, .step = step, .start_std = 0.5}), 2)), 4.5);
  const Ula ula({.iterations = 40, .step = step, .start_std = 0.5});
  EXPECT_GT(z_of_variance(ula, 2), 20);
  EXPECT_LT(std::abs(z_of_variance(ula, 2 / (1 - step / 4))), 4.5);
}

TEST(Mala, AcceptanceIsThatOfTheClosedForm) {
  const double v = 2, step = 1;
  // E over x ~ N(0, v), z ~ N(0, 1) of min(1, p(x') q(x | x') / (p(x) q(x' | x))), by quadrature
  const auto log_p = [&](double x) { return -x * x / (2 * v); };
  const auto log_q = [&](double to, double from) {
    return -std::pow(to - from * (1 - step / v), 2) / (4 * step);
  };
  double total = 0, weight = 0;
  for (double a = -6; a <= 6; a += 0.05) {
    for (double z = -6; z <= 6; z += 0.05) {
      const double x = std::sqrt(v) * a, y = x * (1 - step / v) + std::sqrt(2 * step) * z;
      const double w = std::exp(-(a * a + z * z) / 2);
      total += w * std::min(1.0, std::exp(log_p(y) + log_q(x, y) - log_p(x) - log_q(y, x)));
      weight += w;
    }
  }
  const double expected = total / weight;
  Noise noise(3);
  StepMemory memory;
  const Mala mala({.iterations = 20, .step = step, .start_std = std::sqrt(v)});
  mala.step(prior(), 0.5 * normal({chains, 1}, 4), 0.5, 0, noise, memory);
  ASSERT_EQ(memory.accepted.sizes(), at::IntArrayRef({chains}));
  EXPECT_EQ(memory.proposed, 20);
  // The chains are independent: the spread of their own rates gives the standard error.
  const Tensor rates = memory.accepted.to(at::kDouble) / 20;
  const double error = rates.std().item<double>() / std::sqrt(static_cast<double>(chains));
  EXPECT_NEAR(rates.mean().item<double>(), expected, 4.5 * error);
  EXPECT_GT(std::abs(rates.mean().item<double>() - 1), 20 * error);  // not every proposal is taken
}

TEST(Mala, RowsHaveTheirOwnStepAndVerdict) {
  const GaussianPrior target =
      GaussianPrior::diagonal(at::zeros({3}, at::kDouble), at::ones({3}, at::kDouble));
  const Target density = [&](const Tensor& x) -> LogDensity { return {target.log_prob(x), -x}; };
  const Tensor x = normal({6, 3}, 5), step = at::tensor({0.01, 0.1, 0.5, 1.0, 2.0, 4.0}, at::kDouble);
  Noise noise(6);
  ChainState all = start_chain(density, x);
  Tensor accepted = at::zeros({6}, at::kLong);
  for (int k = 0; k < 20; ++k) accepted += mala_move(density, all, step, noise);
  EXPECT_LT(accepted[5].item<int64_t>(), accepted[0].item<int64_t>());
  EXPECT_GT(accepted[0].item<int64_t>(), 18);
  for (int64_t i = 0; i < 6; ++i) {
    Noise own = Noise(6).rows({static_cast<uint64_t>(i)});
    ChainState alone = start_chain(density, x.slice(0, i, i + 1));
    for (int k = 0; k < 20; ++k) mala_move(density, alone, step[i].item<double>(), own);
    EXPECT_LT(max_difference(alone.x[0], all.x[i]), 1e-12);
    EXPECT_LT(max_difference(alone.density.value[0], all.density.value[i]), 1e-12);
  }
}

TEST(Mala, NothingThatIsNoNumberIsAccepted) {
  const Target cliff = [](const Tensor& x) -> LogDensity {
    const Tensor value = -0.5 * x.square().sum(1);
    return {at::where(x.select(1, 0) > 0, at::full_like(value, NAN), value), -x};
  };
  ChainState state = start_chain(cliff, -normal({50, 2}, 7).abs());
  Noise noise(8);
  for (int k = 0; k < 50; ++k) mala_move(cliff, state, 0.3, noise);
  EXPECT_TRUE((state.x.select(1, 0) <= 0).all().item<bool>());
  EXPECT_TRUE(state.density.value.isfinite().all().item<bool>());
}

TEST(Mala, ItsRateIsReportedOverTheDrawsThatWereAsked) {
  const auto rate = [&](int64_t draws, int64_t threads) {
    RunRecord record;
    const Mala mala({.iterations = 30, .step = 2});
    draw([&](const auto&) { return std::shared_ptr<const Denoiser>(&prior(), [](auto*) {}); }, {1}, mala,
         make_schedule(Karras{.sigma_min = 0.5}, 3), draws, 1, Noise(9), {}, {.threads = threads}, &record);
    return record.acceptance_rate.value();
  };
  EXPECT_EQ(rate(21, 1), rate(21, 2));
  EXPECT_GT(rate(21, 1), 0.4);
  EXPECT_LT(rate(21, 1), 0.99);
  const double accepted = rate(1, 1) * 30;  // one chain, though its slice holds 16
  EXPECT_NEAR(accepted, std::round(accepted), 1e-12);
}

}  // namespace
}  // namespace tweedie
