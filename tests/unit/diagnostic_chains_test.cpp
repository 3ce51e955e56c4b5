#include "core/special.h"
#include "diagnostic/chain_rows.h"
#include "tweedie/chains.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

using Status = Finding::Status;

// x_t = rho x_{t-1} + sqrt(1 - rho^2) e_t, stationary: (draws, chains, coordinates)
Tensor autoregressive(double rho, int64_t draws, int64_t chains, int64_t coordinates, uint64_t seed) {
  Tensor x = normal({draws, chains, coordinates}, seed);
  for (int64_t t = 1; t < draws; ++t) x[t] = rho * x[t - 1] + std::sqrt(1 - rho * rho) * x[t];
  return x;
}

// sqrt(var+ / W) of values, chains neither halved nor ranked: what split_rhat improves on.
double plain_rhat(const Tensor& chains) {
  const double n = static_cast<double>(chains.size(0));
  const double within = chains.var(0, true).mean().item<double>();
  return std::sqrt((n - 1) / n + chains.mean(0).var(0, true).item<double>() / within);
}

// Eight draws of one chain: halves (1 2 3 4) and (5 6 7 8). With z_r = Phi^-1((r - 3/8) / 8.25) the upper
// half mirrors the lower: means -+m, equal variances w, so R-hat^2 = 3/4 + 2 m^2 / w.
TEST(SplitRhat, ByHandForAChainOfEight) {
  const double z[] = {1.4342001597, 0.8524950343, 0.4727891210, 0.1525059742};  // of ranks 8, 7, 6, 5
  double m = 0, w = 0;
  for (const double v : z) m += v / 4;
  for (const double v : z) w += (v - m) * (v - m) / 3;
  const Tensor x = at::arange(8, at::kDouble).view({8, 1});
  EXPECT_NEAR(split_rhat(x).item<double>(), std::sqrt(0.75 + 2 * m * m / w), 1e-8);
  // Ranks do not know of a monotone map that keeps the order of the distances from the median, too.
  const Tensor cubed = (x - 3.5).pow(3);
  EXPECT_NEAR(split_rhat(cubed).item<double>(), split_rhat(x).item<double>(), 1e-12);
}

TEST(RankNormalised, TiesShareTheirMeanRank) {
  const Tensor z =
      rank_normalised(at::tensor({2.0, 1.0, 2.0, 5.0}).to(at::kDouble).view({1, 1, 4})).flatten();
  EXPECT_NEAR(normal_cdf(z[0].item<double>()), (2.5 - 0.375) / 4.25, 1e-12);
  EXPECT_EQ(z[0].item<double>(), z[2].item<double>());
  EXPECT_NEAR(normal_cdf(z[1].item<double>()), (1 - 0.375) / 4.25, 1e-12);
  EXPECT_NEAR(normal_cdf(z[3].item<double>()), (4 - 0.375) / 4.25, 1e-12);
}

TEST(SplitRhat, IsNearOneForChainsThatAgree) {
  // R-hat^2 - 1 is about (chi2_7 / 7 - 1) / 500 over 8 half chains: a standard deviation of 0.0011, and a
  // mean of 0 (the larger of two)
  const Tensor r = split_rhat(normal({1000, 4, 50}, 1));
  EXPECT_EQ(r.sizes(), at::IntArrayRef{50});
  EXPECT_LT(r.max().item<double>(), 1.005);
  EXPECT_GT(r.min().item<double>(), 0.998);
  EXPECT_EQ(rhat(normal({1000, 4, 5, 10}, 1)).status, Status::pass);
}

// Four chains of eight draws: R-hat is above 1.05 by chance somewhere in 200 coordinates, which is no
// failure.
TEST(SplitRhat, OfShortChainsThatAgreeIsNoFailure) {
  int failed = 0;
  for (uint64_t seed = 0; seed < 40; ++seed) {
    const Tensor x = normal({8, 4, 200}, seed);
    const Finding f = rhat(x);
    EXPECT_GT(f.value, 1.05);
    failed += f.status == Status::fail;
    EXPECT_NE(effective_draws(x).status, Status::fail);
  }
  EXPECT_LE(failed, 1);
  Tensor apart = normal({8, 4, 200}, 1);
  apart.select(1, 2).add_(4);
  EXPECT_EQ(rhat(apart).status, Status::fail);
}

TEST(SplitRhat, SeesATrendThatUnsplitChainsHide) {
  const Tensor trend = at::linspace(-1.5, 1.5, 500, at::kDouble).view({500, 1});
  const Tensor x = normal({500, 4}, 2) + trend;  // all chains drift alike: their means agree
  EXPECT_LT(plain_rhat(x), 1.01);
  EXPECT_GT(split_rhat(x).item<double>(), 1.2);
  EXPECT_EQ(rhat(x).status, Status::fail);
}

TEST(SplitRhat, SeesAShiftUnderHeavyTailsThatValuesHide) {
  const Tensor u = Noise(3).uniform({1000, 4}, at::kDouble);
  Tensor x = (M_PI * (u - 0.5)).tan();  // Cauchy: no mean, no variance
  x.select(1, 0).add_(2);
  EXPECT_LT(plain_rhat(x), 1.01);
  EXPECT_GT(split_rhat(x).item<double>(), 1.05);
}

TEST(SplitRhat, SeesOtherScalesByFolding) {
  Tensor x = normal({1000, 4}, 4);
  x.select(1, 0).mul_(4);
  EXPECT_LT(plain_rhat(x), 1.01);  // equal means
  EXPECT_GT(split_rhat(x).item<double>(), 1.05);
}

TEST(SplitRhat, OfChainsThatStandStill) {
  const Tensor apart = at::arange(4, at::kDouble).expand({10, 4}).contiguous();
  EXPECT_EQ(split_rhat(apart).item<double>(), INFINITY);
  EXPECT_EQ(rhat(apart).status, Status::fail);
  const Tensor still = at::full({10, 4}, 0.1, at::kDouble);
  EXPECT_EQ(split_rhat(still).item<double>(), 1);
  EXPECT_EQ(bulk_ess(still).item<double>(), 40);
  EXPECT_EQ(mcse_mean(still).item<double>(), 0);
  EXPECT_EQ(rhat(still).status, Status::fail);
  EXPECT_EQ(effective_draws(still).status, Status::fail);
}

// Two chains (1 0 0 1), (0 1 1 0): means 1/2, autocovariances 1/4, -1/16, ..., so W = 1/3, var+ = 1/4,
// rho_1 = 1 - (1/3 + 1/16) 4 < -1/2 and P_0 = 1 + rho_1 = 1 - 7/12; the next pair begins at lag 2:
// autocovariance (1/4)(-1/4 - 1/4) = -1/8, rho_2 < 0 adds nothing. tau = -1 + 2 (5/12) = -1/6, below
// 1 / log10 8.
TEST(EffectiveNumber, ByHandAndBounded) {
  const Tensor x = at::tensor({1., 0., 0., 1., 0., 1., 1., 0.}, at::kDouble).view({1, 2, 4});
  EXPECT_NEAR(effective_number(x).item<double>(), 8 * std::log10(8.0), 1e-9);
  // (0 0 1 1) and (2 2 3 3): autocovariances 1/4, 1/16, -1/8; W = 1/3, var+ = 1/4 + 2; rho_1 = 1 - 13/48 4/9
  // and rho_2 = 1 - 11/24 4/9, which ends the sum: tau = -1 + 2 (1 + 95/108) + 43/54 = 32/9
  const Tensor apart = at::tensor({0., 0., 1., 1., 2., 2., 3., 3.}, at::kDouble).view({1, 2, 4});
  EXPECT_NEAR(effective_number(apart).item<double>(), 2.25, 1e-9);
}

// Closed form: S (1 - rho) / (1 + rho). The estimate of one coordinate has a relative error of about
// sqrt(2 (2 T + 1) / S) for T lags summed, T = 3 (1 + rho) / (1 - rho) or so; of the mean over 100
// coordinates a tenth of that, and truncation and the chains' own means bias it by a few percent.
TEST(EffectiveNumber, OfAutoregressionsIsTheClosedForm) {
  for (const double rho : {-0.5, 0.0, 0.5, 0.9}) {
    const int64_t draws = 1000, chains = 4;
    const Tensor x = autoregressive(rho, draws, chains, 100, 5);
    const double exact = static_cast<double>(draws * chains) * (1 - rho) / (1 + rho);
    const double lags = 3 * (1 + rho) / (1 - rho) + 1;
    const double tolerance = 4 * std::sqrt(2 * (2 * lags + 1) / (draws * chains)) / 10 + 0.06;
    EXPECT_NEAR(mean_ess(x).mean().item<double>() / exact, 1, tolerance) << rho;
    EXPECT_NEAR(bulk_ess(x).mean().item<double>() / exact, 1, tolerance + 0.02) << rho;
    // The naive count, and that of the inverse of the right one, are far off.
    if (rho != 0) {
      EXPECT_GT(std::abs(static_cast<double>(draws * chains) / exact - 1), tolerance) << rho;
    }
  }
}

TEST(EffectiveNumber, TailsOfIndependentDrawsCountInFull) {
  const Tensor ess = tail_ess(normal({1000, 4, 50}, 6));
  EXPECT_NEAR(ess.mean().item<double>() / 4000, 1, 0.1);
  EXPECT_EQ(effective_draws(normal({1000, 4, 3}, 6)).status, Status::pass);
  EXPECT_EQ(effective_draws(autoregressive(0.9, 1000, 4, 3, 6)).status, Status::warn);  // about 210 of 4000
  EXPECT_EQ(effective_draws(autoregressive(0.998, 1000, 4, 3, 6)).status, Status::fail);
}

// The standard deviation over many chains of the mean and the median is what one set of chains foretells:
// known to 5% from 200, and foretold to some percent.
TEST(Mcse, IsTheSpreadOfRepetitions) {
  const double rho = 0.6;
  const int64_t repetitions = 300;
  const Tensor x = autoregressive(rho, 500, 4, repetitions, 7);
  const double of_mean = x.flatten(0, 1).mean(0).std(0, true).item<double>();
  EXPECT_NEAR(mcse_mean(x).mean().item<double>() / of_mean, 1, 0.2);
  EXPECT_NEAR(of_mean / std::sqrt((1 + rho) / (1 - rho) / 2000), 1, 0.2);
  const Tensor rows = chain_rows(x, "test");
  const double of_median = pooled_quantile(rows, 0.5).std(0, true).item<double>();
  EXPECT_NEAR(mcse_quantile(x, 0.5).mean().item<double>() / of_median, 1, 0.2);
  const double naive = 1 / std::sqrt(2000.0);
  EXPECT_GT(std::abs(naive / of_mean - 1), 0.4);
  EXPECT_THROW(mcse_quantile(x, 1), Error);
}

TEST(Chains, BadInputIsNamed) {
  expect_error([] { split_rhat(at::zeros({3, 2}, at::kDouble)); }, {"split_rhat", "(3, 2)", "at least 4"});
  expect_error([] { bulk_ess(at::zeros({10}, at::kDouble)); }, {"bulk_ess", "(10,)"});
  expect_error([] { mean_ess(at::full({10, 2}, NAN, at::kDouble)); }, {"mean_ess", "NaN"});
}

TEST(Particles, EffectiveSize) {
  EXPECT_EQ(effective_size(at::zeros({7, 2}, at::kDouble)).sizes(), at::IntArrayRef{2});
  EXPECT_NEAR(effective_size(at::full({7}, -900.0, at::kDouble)).item<double>(), 7, 1e-12);
  // weights 1, 1/2: (3/2)^2 / (5/4)
  EXPECT_NEAR(effective_size(at::tensor({0.0, -std::log(2.0), -INFINITY}, at::kDouble)).item<double>(), 1.8,
              1e-12);
  EXPECT_EQ(effective_size(at::full({3}, -INFINITY, at::kDouble)).item<double>(), 0);
  EXPECT_THROW(effective_size(at::tensor({0.0, double{NAN}}, at::kDouble)), Error);
}

TEST(Particles, AncestorsAreTracedThroughEveryStep) {
  EXPECT_EQ(unique_ancestors(at::arange(5, at::kLong).expand({3, 5})), 5);
  // 0 1 2 3 -> from 0 0 2 3 -> from 0 1 1 1: all descend from 0, while each step alone keeps more
  const Tensor a = at::tensor({0, 0, 2, 3, 0, 1, 1, 1}, at::kLong).view({2, 4});
  EXPECT_EQ(unique_ancestors(a), 1);
  EXPECT_EQ(unique_ancestors(a.flip(0).contiguous()), 2);  // order matters: 0 and 1
  EXPECT_THROW(unique_ancestors(at::full({1, 3}, 3, at::kLong)), Error);
}

TEST(Particles, HealthIsJudgedByTheWorstStep) {
  const auto judged = [](double worst, double lines) {
    Tensor ess = at::full({20, 2, 3}, 800.0, at::kDouble);
    ess[7][1][2] = worst;
    ParticleRecord record{.particles = 1000, .chains = 2, .ess = ess};
    record.unique_ancestors = at::full({2, 3}, lines, at::kDouble);
    return particle_health(record);
  };
  EXPECT_EQ(judged(500, 40).status, Status::pass);
  EXPECT_EQ(judged(500, 40).value, 500);
  EXPECT_EQ(judged(60, 40).status, Status::warn);
  EXPECT_EQ(judged(500, 1).status, Status::warn);
  EXPECT_EQ(judged(3, 40).status, Status::fail);
  EXPECT_FALSE(judged(3, 40).remedy.empty());
  ParticleRecord flat{.particles = 10, .chains = 2, .ess = at::zeros({2, 3})};
  flat.unique_ancestors = at::zeros({3});
  EXPECT_THROW(particle_health(flat), Error);
}

}  // namespace
}  // namespace tweedie
