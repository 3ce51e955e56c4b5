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

INSTANTIATE_TEST_SUITE_P(Section5, ScalarTable,
                         testing::Values(Golden{0.5, 20, 2000, mmps, 0.7823, 0.19642, 5e-5, 5e-6},
                                         Golden{0.5, 20, 2000, dps, 1.2491, 0.017738, 5e-5, 5e-7},
                                         Golden{0.5, 1, 100, mmps, 0.4762, 0.16385, 5e-5, 5e-6},
                                         Golden{0.5, 1, 100, dps, 0.7251, 0.065295, 5e-5, 5e-7},
                                         Golden{0.1, 20, 2000, mmps, 0.9854, 0.0091489, 5e-5, 5e-8},
                                         Golden{0.1, 20, 2000, dps, 1.0091, 0, 5e-5, 5e-8},
                                         Golden{0.1, 1, 100, mmps, 0.8959, 0.0090597, 5e-5, 5e-8},
                                         Golden{0.1, 1, 100, dps, 1.0091, 0, 5e-5, 5e-8}));

}  // namespace
}  // namespace tweedie
