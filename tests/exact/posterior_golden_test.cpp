// The scalar table of algorithms section 5: x ~ N(0, 1), y = x + noise_std n, levels T l / L, probability
// flow by Euler, start N(0, T^2). The walk is affine, x_0 = gain y + slope x_T, so two walks give the law:
// gain and variance (slope T)^2. A correct DPS has its wrong numbers.
#include "tweedie/ddim.h"
#include "tweedie/guidance.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

struct Golden {
  double noise_std, end;
  int64_t steps;
  Guidance guidance;
  double gain, variance;
  double gain_digit, variance_digit;  // half a unit of the last digit printed
};

class ScalarTable : public testing::TestWithParam<Golden> {};

TEST_P(ScalarTable, GainAndVarianceAreTheGoldenOnes) {
  const Golden g = GetParam();
  const NoiseSchedule schedule{at::linspace(g.end, 0, g.steps + 1, at::kDouble), g.end};
  const auto prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::ones({1}, at::kDouble)));
  const GaussianLikelihood likelihood(make_identity({1}), g.noise_std);
  // Rows: (x_T, y) = (0, 1) and (T, 0)
  const Tensor start = at::tensor({0.0, g.end}, at::kDouble).view({2, 1});
  const Tensor y = at::tensor({1.0, 0.0}, at::kDouble).view({2, 1});
  const auto denoiser =
      std::visit([&](const auto& options) { return guide(options, prior, likelihood, y); }, g.guidance);
  Noise none(0);
  const Tensor end = walk(*denoiser, Ddim(), schedule, start, none);
  EXPECT_NEAR(end[0].item<double>(), g.gain, 1.001 * g.gain_digit);
  EXPECT_NEAR(end[1].square().item<double>(), g.variance, 1.001 * g.variance_digit);
}

const MmpsOptions mmps{.iterations = 1};  // one coordinate
const DpsOptions dps;
const PigdmOptions pigdm{.data_variance = 1e12};  // r^2 = t^2
const TmpdOptions tmpd;                           // one measurement: a row is its diagonal entry
const OracleOptions oracle;

INSTANTIATE_TEST_SUITE_P(Section5, ScalarTable,
                         testing::Values(Golden{0.5, 20, 2000, mmps, 0.7823, 0.19642, 5e-5, 5e-6},
                                         Golden{0.5, 20, 2000, tmpd, 0.7823, 0.19642, 5e-5, 5e-6},
                                         Golden{0.5, 20, 2000, oracle, 0.7823, 0.19642, 5e-5, 5e-6},
                                         Golden{0.5, 20, 2000, dps, 1.2491, 0.017738, 5e-5, 5e-7},
                                         Golden{0.5, 20, 2000, pigdm, 0.5154, 0.31715, 5e-5, 5e-6},
                                         Golden{0.5, 1, 100, mmps, 0.4762, 0.16385, 5e-5, 5e-6},
                                         Golden{0.5, 1, 100, tmpd, 0.4762, 0.16385, 5e-5, 5e-6},
                                         Golden{0.5, 1, 100, oracle, 0.4762, 0.16385, 5e-5, 5e-6},
                                         Golden{0.5, 1, 100, dps, 0.7251, 0.065295, 5e-5, 5e-7},
                                         Golden{0.5, 1, 100, pigdm, 0.4254, 0.18828, 5e-5, 5e-6},
                                         Golden{0.1, 20, 2000, mmps, 0.9854, 0.0091489, 5e-5, 5e-8},
                                         Golden{0.1, 20, 2000, dps, 1.0091, 0, 5e-5, 5e-8},
                                         Golden{0.1, 20, 2000, pigdm, 0.8848, 0.023288, 5e-5, 5e-7},
                                         Golden{0.1, 1, 100, mmps, 0.8959, 0.0090597, 5e-5, 5e-8},
                                         Golden{0.1, 1, 100, dps, 1.0091, 0, 5e-5, 5e-8},
                                         Golden{0.1, 1, 100, pigdm, 0.8573, 0.014144, 5e-5, 5e-7}));

// Section 5.1: for x ~ N(0, lambda), A = 1 and c = lambda / (lambda + sigma^2), D = c x and V = c sigma^2,
// each is D_y = D + V (y - D) / (noise_std^2 + w), w = 0 (DPS), r^2 (PiGDM), V (MMPS, TMPD, oracle).
TEST(ScalarRecursion, OnlyTheDenominatorsDiffer) {
  const Tensor x = at::tensor({-2.0, 0.3, 5.0}, at::kDouble).view({3, 1});
  const Tensor y = at::tensor({1.0, -0.7, 2.0}, at::kDouble).view({3, 1});
  for (const double lambda : {0.2, 1.0, 9.0}) {
    const auto prior = std::make_shared<const GaussianPrior>(
        GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::full({1}, lambda, at::kDouble)));
    for (const double noise_std : {0.1, 2.0}) {
      const GaussianLikelihood likelihood(make_identity({1}), noise_std);
      for (const double sigma : {0.05, 1.0, 30.0}) {
        const double s2 = sigma * sigma, v = lambda * s2 / (lambda + s2), r2 = 3 * s2 / (3 + s2);
        const Tensor mean = lambda / (lambda + s2) * x;
        const auto difference = [&](const auto& options, double w) {
          const Tensor expected = mean + v * (y - mean) / (noise_std * noise_std + w);
          const Tensor ours = guide(options, prior, likelihood, y)->mean(x, sigma);
          return ((ours - expected).abs() / (1 + expected.abs())).max().item<double>();
        };
        EXPECT_LT(difference(dps, 0), 1e-13);
        EXPECT_LT(difference(PigdmOptions{.data_variance = 3}, r2), 1e-13);
        EXPECT_LT(difference(PigdmOptions{}, v), 1e-7);  // the prior's own variance
        EXPECT_LT(difference(mmps, v), 1e-13);
        EXPECT_LT(difference(tmpd, v), 1e-13);
        EXPECT_LT(difference(oracle, v), 1e-9);
        if (sigma < 1) continue;  // where the prior's own mean is all there is
        EXPECT_GT(difference(mmps, 0), 1e-3);
        EXPECT_GT(difference(dps, v), 1e-3);
      }
    }
  }
}

}  // namespace
}  // namespace tweedie
