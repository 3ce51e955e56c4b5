#include "tweedie/schedule.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

void expect_decreasing_to_zero(const NoiseSchedule& s, int64_t steps) {
  ASSERT_EQ(s.steps(), steps);
  EXPECT_TRUE((s.sigma.slice(0, 1) < s.sigma.slice(0, 0, steps)).all().item<bool>());
  EXPECT_EQ(s.sigma[steps].item<double>(), 0);
}

TEST(Schedule, KarrasIsItsFormula) {
  const NoiseSchedule s = make_schedule(Karras{}, 18);
  expect_decreasing_to_zero(s, 18);
  EXPECT_EQ(s.initial_std, 80);
  EXPECT_EQ(s.sigma[0].item<double>(), 80);
  EXPECT_NEAR(s.sigma[17].item<double>(), 0.002, 1e-15);
  const double root = std::pow(80, 1 / 7.0) + 5 / 17.0 * (std::pow(0.002, 1 / 7.0) - std::pow(80, 1 / 7.0));
  EXPECT_NEAR(s.sigma[5].item<double>(), std::pow(root, 7), 1e-12);
  expect_decreasing_to_zero(make_schedule(Karras{}, 1), 1);
}

TEST(Schedule, VpLinearIsDdpms) {
  const Tensor bar = alpha_bar({});
  EXPECT_EQ(bar.numel(), 1001);
  EXPECT_EQ(bar[0].item<double>(), 1);
  EXPECT_NEAR(bar[1].item<double>(), 1 - 1e-4, 1e-15);
  EXPECT_NEAR(bar[1000].item<double>(), 4.036e-5, 5e-9);
  const NoiseSchedule s = make_schedule(VpLinear{}, 20);
  expect_decreasing_to_zero(s, 20);
  const double last = bar[1000].item<double>(), low = bar[50].item<double>();
  EXPECT_NEAR(s.initial_std, 1 / std::sqrt(last), 1e-10);
  EXPECT_NEAR(s.sigma[0].item<double>(), std::sqrt((1 - last) / last), 1e-10);
  EXPECT_NEAR(s.sigma[19].item<double>(), std::sqrt((1 - low) / low), 1e-14);
  for (const int64_t steps : {1, 3, 7, 999, 1000})
    expect_decreasing_to_zero(make_schedule(VpLinear{}, steps), steps);
  const NoiseSchedule through = make_schedule(Schedule(VpLinear{}), 20);
  EXPECT_TRUE(at::equal(through.sigma, s.sigma));
}

TEST(Schedule, BadInputIsNamed) {
  expect_error([] { make_schedule(Karras{}, 0); }, {"schedule.steps", "0"});
  expect_error([] { make_schedule(Karras{.sigma_min = 0}, 5); }, {"schedule.sigma_min", "0"});
  expect_error([] { make_schedule(Karras{.sigma_max = 0.001}, 5); },
               {"schedule.sigma_max", "0.001", "0.002"});
  expect_error([] { make_schedule(Karras{.rho = NAN}, 5); }, {"schedule.rho", "nan"});
  expect_error([] { make_schedule(VpLinear{}, 1001); }, {"schedule.steps", "1001", "1000"});
  expect_error([] { make_schedule(VpLinear{.beta_start = 0}, 5); }, {"schedule.beta_start", "0"});
  expect_error([] { make_schedule(VpLinear{.beta_end = 1}, 5); }, {"schedule.beta_end", "1"});
  expect_error([] { alpha_bar(VpLinear{.train_steps = 0}); }, {"schedule.train_steps", "0"});
}

}  // namespace
}  // namespace tweedie
