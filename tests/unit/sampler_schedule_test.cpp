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
  const Tensor bar = alpha_bar(VpLinear{});
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

TEST(Schedule, VpScaledLinearIsLinearInTheRootOfBeta) {
  const Tensor bar = alpha_bar(VpScaledLinear{});
  const auto root_beta = [&](int64_t t) {
    return std::sqrt(1 - bar[t].item<double>() / bar[t - 1].item<double>());
  };
  EXPECT_NEAR(root_beta(1), std::sqrt(0.00085), 1e-12);
  EXPECT_NEAR(root_beta(1000), std::sqrt(0.012), 1e-12);
  EXPECT_NEAR(root_beta(334), (2 * std::sqrt(0.00085) + std::sqrt(0.012)) / 3, 1e-12);
  EXPECT_NEAR(bar[1000].item<double>(), 0.0047, 5e-5);  // Stable Diffusion's
  for (const int64_t steps : {1, 7, 50, 1000})
    expect_decreasing_to_zero(make_schedule(VpScaledLinear{}, steps), steps);
}

TEST(Schedule, CosineIsNicholAndDhariwals) {
  const Tensor bar = alpha_bar(Cosine{});
  const auto f = [](double t) { return std::pow(std::cos(M_PI / 2 * (t / 1000 + 0.008) / 1.008), 2); };
  EXPECT_EQ(bar[0].item<double>(), 1);
  for (const int64_t t : {1, 250, 500, 900, 950})
    EXPECT_NEAR(bar[t].item<double>(), f(static_cast<double>(t)) / f(0), 1e-12);
  EXPECT_NEAR(bar[1000].item<double>() / bar[999].item<double>(), 0.001, 1e-12);  // held at max_beta
  const double kept = alpha_bar(Cosine{.max_beta = 0.02})[1000].item<double>();
  EXPECT_GT(kept, bar[1000].item<double>());
  for (const int64_t steps : {1, 7, 50, 1000})
    expect_decreasing_to_zero(make_schedule(Cosine{}, steps), steps);
}

TEST(Schedule, VeIsGeometric) {
  const NoiseSchedule s = make_schedule(GeometricVe{.sigma_min = 0.01, .sigma_max = 1}, 10);  // NCSN's
  expect_decreasing_to_zero(s, 10);
  EXPECT_EQ(s.initial_std, 1);
  EXPECT_EQ(s.sigma[0].item<double>(), 1);
  EXPECT_NEAR(s.sigma[3].item<double>(), std::pow(0.01, 3 / 9.0), 1e-15);
  EXPECT_NEAR(s.sigma[9].item<double>(), 0.01, 1e-15);
}

TEST(Schedule, FlowIsUniformInItsTime) {
  const NoiseSchedule s = make_schedule(UniformFlow{.t_max = 0.8}, 4);
  expect_decreasing_to_zero(s, 4);
  const Tensor expected = at::tensor({4.0, 0.6 / 0.4, 0.4 / 0.6, 0.25, 0.0}, at::kDouble);
  EXPECT_LT(max_difference(s.sigma, expected), 1e-14);
  EXPECT_NEAR((1 - 0.8) * s.initial_std, 1, 1e-15);  // x_t = (1 - t) x
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
  expect_error([] { make_schedule(VpScaledLinear{.beta_start = 0.1}, 5); }, {"schedule.beta_end", "0.012"});
  expect_error([] { alpha_bar(VpScaledLinear{.beta_end = 0.999, .train_steps = 10000}); },
               {"schedule.beta_end", "0.999"});
  expect_error([] { make_schedule(Cosine{.train_steps = 10}, 11); }, {"schedule.steps", "11", "10"});
  expect_error([] { alpha_bar(Cosine{.train_steps = 0}); }, {"schedule.train_steps", "0"});
  expect_error([] { alpha_bar(Cosine{.s = -1}); }, {"schedule.s", "-1"});
  expect_error([] { alpha_bar(Cosine{.max_beta = 1}); }, {"schedule.max_beta", "1"});
  expect_error([] { make_schedule(GeometricVe{.sigma_min = 50}, 5); }, {"schedule.sigma_max", "50"});
  expect_error([] { make_schedule(GeometricVe{}, 0); }, {"schedule.steps", "0"});
  expect_error([] { make_schedule(UniformFlow{.t_max = 1}, 5); }, {"schedule.t_max", "1"});
  expect_error([] { make_schedule(UniformFlow{}, 0); }, {"schedule.steps", "0"});
}

}  // namespace
}  // namespace tweedie
