// On a Gaussian prior every step is affine, so a sampler's output law follows without Monte Carlo from its
// own gains (algorithms E5, E6).
#include "tweedie/annealed_langevin.h"
#include "tweedie/ddim.h"
#include "tweedie/ddpm.h"
#include "tweedie/dpm_solver.h"
#include "tweedie/euler.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/heun.h"
#include "tweedie/ula.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr double lambda = 4;

GaussianPrior one_mode(double variance = lambda) {
  return GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::full({1}, variance, at::kDouble));
}

Tensor point(double value) {
  return at::full({1, 1}, value, at::kDouble);
}

// x_s = gain x + noise_std z, read off the step itself
struct Affine {
  double gain, noise_std;
};

Affine measure(const Sampler& sampler, double from, double to, double variance = lambda) {
  const GaussianPrior prior = one_mode(variance);
  Noise at_zero(1), at_one(1), alone(1);
  const double zero = sampler.step(prior, point(0), from, to, at_zero).item<double>();
  const double one = sampler.step(prior, point(1), from, to, at_one).item<double>();
  return {one - zero, zero / alone.normal({1, 1}, at::kDouble).item<double>()};
}

// Variance at every level of the schedule
std::vector<double> variances(const Sampler& sampler, const NoiseSchedule& schedule) {
  std::vector<double> v{schedule.initial_std * schedule.initial_std};
  for (int64_t i = 0; i < schedule.steps(); ++i) {
    const Affine step =
        measure(sampler, schedule.sigma[i].item<double>(), schedule.sigma[i + 1].item<double>());
    v.push_back(step.gain * step.gain * v.back() + step.noise_std * step.noise_std);
  }
  return v;
}

struct Golden {
  int64_t steps;
  double eta, variance;
};

class DdimOnVp : public testing::TestWithParam<Golden> {};

TEST_P(DdimOnVp, OutputVarianceIsTheGoldenOne) {
  const auto [steps, eta, variance] = GetParam();
  EXPECT_NEAR(variances(Ddim({.eta = eta}), make_schedule(VpLinear{}, steps)).back(), variance, 5.01e-6);
}

INSTANTIATE_TEST_SUITE_P(E6, DdimOnVp,
                         testing::Values(Golden{20, 0, 3.43900}, Golden{20, 0.5, 3.35136},
                                         Golden{20, 1, 3.03113}, Golden{100, 0, 3.88054},
                                         Golden{100, 0.5, 3.85414}, Golden{100, 1, 3.76440},
                                         Golden{1000, 0, 3.98742}, Golden{1000, 0.5, 3.98480},
                                         Golden{1000, 1, 3.97478}));

double end_to_end_gain(const Sampler& sampler, int64_t steps) {
  Noise noise(1);
  return walk(one_mode(), sampler, make_schedule(Karras{}, steps), point(1), noise).item<double>();
}

TEST(EdmGrid, GainsAreTheGoldenOnes) {
  EXPECT_NEAR(end_to_end_gain(Heun({}, 18), 18), 0.025901, 5.01e-7);
  EXPECT_NEAR(end_to_end_gain(Heun({}, 40), 40), 0.025155, 5.01e-7);
  EXPECT_NEAR(end_to_end_gain(DpmSolver2m(), 18), 0.026025, 5.01e-7);
  EXPECT_NEAR(end_to_end_gain(DpmSolver2m(), 40), 0.025164, 5.01e-7);
  EXPECT_NEAR(end_to_end_gain(Euler(), 18), 0.021791, 5.01e-7);
  EXPECT_NEAR(end_to_end_gain(Euler(), 40), 0.023542, 5.01e-7);
  // DDIM with eta = 0 is Euler in this coordinate.
  EXPECT_NEAR(end_to_end_gain(Ddim(), 40), 0.023542, 5.01e-7);
}

// From t = 1 to 0, where the exact gain is 2
double flow_gain(const Sampler& sampler, int64_t steps) {
  const NoiseSchedule schedule = make_schedule(UniformFlow{.t_max = 1 - 1e-7}, steps);
  Noise noise(1);
  return walk(one_mode(), sampler, schedule, point(schedule.initial_std), noise).item<double>();
}

TEST(FlowGrid, GainsAreTheGoldenOnes) {
  const Heun heun({.coordinate = HeunOptions::Coordinate::flow}, 1);
  EXPECT_NEAR(flow_gain(Euler(), 10), 1.72313, 5.01e-6);
  EXPECT_NEAR(flow_gain(Euler(), 50), 1.94159, 5.01e-6);
  EXPECT_NEAR(flow_gain(Euler(), 100), 1.97058, 5.01e-6);
  EXPECT_NEAR(flow_gain(heun, 10), 1.98828, 5.01e-6);
  EXPECT_NEAR(flow_gain(heun, 50), 1.99961, 5.01e-6);
  EXPECT_NEAR(flow_gain(heun, 100), 1.99990, 5.01e-6);
}

// NCSN on its own schedule, from the uniform law on [0, 1]
TEST(AnnealedLangevin, VarianceIsTheGoldenOne) {
  const NoiseSchedule schedule = make_schedule(GeometricVe{.sigma_min = 0.01, .sigma_max = 1}, 10);
  const AnnealedLangevin once({.iterations = 1, .step = 2e-5 / (0.01 * 0.01), .denoise = false});
  for (const auto& [variance, golden] :
       std::vector<std::pair<double, double>>{{1, 1.03145}, {0.0833, 0.08598}, {0.01, 0.01039}}) {
    double v = 1.0 / 12, mean = 0.5;
    for (int64_t i = 0; i < 10; ++i) {
      const Affine step =
          measure(once, schedule.sigma[i].item<double>(), schedule.sigma[i + 1].item<double>(), variance);
      for (int k = 0; k < 100; ++k) {
        v = step.gain * step.gain * v + step.noise_std * step.noise_std;
        mean *= step.gain;
      }
    }
    EXPECT_NEAR(v, golden, 5.01e-6);
    EXPECT_NEAR(mean, 0, 1e-8);
  }
}

TEST(Ula, StationaryVarianceIsTheGoldenOne) {
  // At level 0.5 the target is N(0, 1.75 + 0.25).
  const Affine step = measure(Ula({.iterations = 1, .step = 0.3, .start_std = 0.5}), 0.5, 0, 1.75);
  EXPECT_NEAR(step.noise_std * step.noise_std / (1 - step.gain * step.gain), 2.162162, 5.01e-7);
}

// Error against the exact flow map of the probability-flow ODE from level 10 to 0.1, geometric steps
double flow_error(const Sampler& sampler, int64_t steps) {
  const GaussianPrior prior = GaussianPrior::full(normal({3}, 1), random_covariance(3, 2));
  const Tensor x = 10 * normal({5, 3}, 3), m = prior.flat_mean();
  const auto level = [&](int64_t i) { return 10 * std::pow(0.01, static_cast<double>(i) / steps); };
  Noise noise(1);
  StepMemory memory;
  Tensor state = x;
  for (int64_t i = 0; i < steps; ++i)
    state = sampler.step(prior, state, level(i), level(i + 1), noise, memory);
  const auto [value, basis] = at::linalg_eigh(prior.covariance());
  const Tensor gain = ((value + 0.1 * 0.1) / (value + 10 * 10)).sqrt();
  return max_difference(state, m + at::matmul(at::matmul(x - m, basis) * gain, basis.t()));
}

double order(const Sampler& sampler, int64_t steps) {
  return std::log2(flow_error(sampler, steps) / flow_error(sampler, 2 * steps));
}

TEST(FlowMap, OrdersOfConvergence) {
  const Heun flow({.coordinate = HeunOptions::Coordinate::flow}, 1);
  EXPECT_NEAR(order(Heun({}, 1), 200), 2, 0.1);
  EXPECT_NEAR(order(flow, 200), 2, 0.1);
  EXPECT_NEAR(order(DpmSolver2m(), 200), 2, 0.1);
  EXPECT_NEAR(order(Ddim(), 200), 1, 0.1);
  EXPECT_NEAR(order(Euler(), 200), 1, 0.1);
  EXPECT_LT(flow_error(flow, 400), 1e-3);
  EXPECT_LT(flow_error(Heun({}, 1), 400), 1e-3);
  EXPECT_LT(flow_error(DpmSolver2m(), 400), 1e-3);
}

// Both variances of DDPM bound the truth: small falls short of the spread of x_0, large takes it for 1.
TEST(Ddpm, VariancesBoundThePriors) {
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 100);
  const Ddpm large({.variance = DdpmOptions::Variance::large});
  EXPECT_NEAR(variances(Ddpm(), schedule).back(), 3.76440, 5.01e-6);  // DDIM's with eta = 1
  EXPECT_GT(variances(large, schedule).back(), variances(Ddpm(), schedule).back());
}

struct GoldenInversion {
  int64_t steps;
  double variance, round_trip;
};

TEST(DdimInversion, IsTheGoldenOne) {
  const GaussianPrior prior = one_mode();
  for (const auto& [steps, variance, round_trip] : std::vector<GoldenInversion>{{20, 0.85996, 0.85985},
                                                                                {50, 0.94152, 0.94141},
                                                                                {100, 0.97037, 0.97025},
                                                                                {1000, 0.99710, 0.99698}}) {
    const NoiseSchedule schedule = make_schedule(VpLinear{}, steps);
    const Tensor code = ddim_invert(prior, schedule, point(1));
    // Of x_T, where alpha_T is 1 / initial_std
    const double gain = code.item<double>() / schedule.initial_std;
    EXPECT_NEAR(gain * gain * lambda, variance, 5.01e-6);
    Noise noise(1);
    EXPECT_NEAR(walk(prior, Ddim(), schedule, code, noise).item<double>(), round_trip, 5.01e-6);
  }
}

// With the spread of x_0 given x accounted for, no number of steps and no eta changes the law.
TEST(Ddim, DataVarianceMakesEveryStepExact) {
  for (const double eta : {0.0, 0.5, 1.0}) {
    const Ddim exact({.eta = eta, .data_variance = lambda}), plain({.eta = eta});
    for (const auto& [t, s] : std::vector<std::pair<double, double>>{{50, 3}, {3, 0.1}, {1, 0}}) {
      const auto variance = [&, t = t, s = s](const Ddim& ddim) {
        const Affine step = measure(ddim, t, s);
        return step.gain * step.gain * (lambda + t * t) + step.noise_std * step.noise_std;
      };
      EXPECT_NEAR(variance(exact), lambda + s * s, 1e-11);
      EXPECT_LT(variance(plain), lambda + s * s - 0.1);
    }
  }
}

// The marginals of ancestral sampling tend to those of the diffusion, lambda + sigma^2, at every level.
TEST(DdimEtaOne, MarginalsTendToTheDiffusions) {
  double worst[2];
  for (const int k : {0, 1}) {
    const NoiseSchedule schedule = make_schedule(VpLinear{}, k == 0 ? 500 : 1000);
    const std::vector<double> v = variances(Ddim({.eta = 1}), schedule);
    worst[k] = 0;
    for (int64_t i = 0; i <= schedule.steps(); ++i) {
      const double s = schedule.sigma[i].item<double>();
      worst[k] = std::max(worst[k], std::abs(v[i] / (lambda + s * s) - 1));
    }
  }
  EXPECT_LT(worst[1], 0.01);
  EXPECT_LT(worst[1], 0.6 * worst[0]);
}

// The same by drawing: z of the sample variance against the recursion, whose standard error is v sqrt(2 / n).
double worst_z(double drawn_eta) {
  const int64_t n = 20000;
  const GaussianPrior prior = one_mode();
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 20);
  const std::vector<double> v = variances(Ddim({.eta = 1}), schedule);
  const Ddim drawn({.eta = drawn_eta});
  Noise noise(5);
  Tensor x = schedule.initial_std * noise.normal({n, 1}, at::kDouble);
  double worst = 0;
  for (int64_t i = 0; i < schedule.steps(); ++i) {
    x = drawn.step(prior, x, schedule.sigma[i].item<double>(), schedule.sigma[i + 1].item<double>(), noise);
    const double z = (x.square().mean().item<double>() / v[i + 1] - 1) / std::sqrt(2.0 / n);
    worst = std::max(worst, std::abs(z));
  }
  return worst;
}

TEST(DdimEtaOne, DrawsHaveTheRecursionsVariance) {
  EXPECT_LT(worst_z(1), 4.5);
  EXPECT_GT(worst_z(0), 8);  // a sampler that forgets its noise
}

// Variance at the end of a walk of the solver from the exact law at the first level; its step is affine in x,
// z and D of the step before.
double solver_variance(double eta, int64_t steps) {
  const NoiseSchedule schedule = make_schedule(Karras{}, steps);
  const DpmSolver2m solver({.eta = eta});
  const GaussianPrior prior = one_mode();
  double before = 0, xx = lambda + schedule.initial_std * schedule.initial_std, xd = 0, dd = 0;
  for (int64_t i = 0; i < steps; ++i) {
    const double t = schedule.sigma[i].item<double>(), s = schedule.sigma[i + 1].item<double>();
    const auto next = [&](double x, double d) {
      StepMemory memory;
      if (i > 0) memory = {.mean = point(d), .from = before, .accepted = {}};
      Noise noise(1);
      return solver.step(prior, point(x), t, s, noise, memory).item<double>();
    };
    Noise alone(1);
    const double rest = next(0, 0), z = alone.normal({1, 1}, at::kDouble).item<double>();
    const double of_x = next(1, 0) - rest, of_d = next(0, 1) - rest, of_z = rest / z;
    const double gain = lambda / (lambda + t * t);  // D = gain x
    const double variance = of_x * of_x * xx + 2 * of_x * of_d * xd + of_d * of_d * dd + of_z * of_z;
    dd = gain * gain * xx;
    xd = gain * (of_x * xx + of_d * xd);
    xx = variance;
    before = t;
  }
  return xx;
}

// Second order in the variance for every eta, where ancestral sampling is of first
TEST(DpmSolver, VarianceTendsToThePriorsBySecondOrder) {
  const double exact = lambda;
  for (const double eta : {0.0, 0.5, 1.0}) {
    const double coarse = solver_variance(eta, 100) - exact, fine = solver_variance(eta, 200) - exact;
    EXPECT_NEAR(std::log2(coarse / fine), 2, 0.3) << eta;
    EXPECT_LT(std::abs(fine), 0.01 * exact);
  }
  const auto ancestral = [&](int64_t steps) {
    return variances(Ddim({.eta = 1}), make_schedule(Karras{}, steps)).back() - exact;
  };
  EXPECT_NEAR(std::log2(ancestral(100) / ancestral(200)), 1, 0.2);
  EXPECT_GT(std::abs(ancestral(200)), 4 * std::abs(solver_variance(1, 200) - exact));
}

// By drawing: the walk's sample variance against the recursion, whose standard error is v sqrt(2 / n)
TEST(DpmSolver, DrawsHaveTheRecursionsVariance) {
  const int64_t n = 20000, steps = 12;
  const NoiseSchedule schedule = make_schedule(Karras{}, steps);
  const auto z = [&](double drawn, double expected) {
    Noise noise(6);
    const Tensor start = schedule.initial_std * noise.normal({n, 1}, at::kDouble);
    const Tensor x = walk(one_mode(), DpmSolver2m({.eta = drawn}), schedule, start, noise);
    return std::abs(x.square().mean().item<double>() / solver_variance(expected, steps) - 1) /
           std::sqrt(2.0 / n);
  };
  EXPECT_LT(z(1, 1), 4.5);
  EXPECT_LT(z(0.5, 0.5), 4.5);
  EXPECT_GT(z(0, 1), 8);  // the ODE's, for which the recursion is another
}

double churned_variance(const HeunOptions& options, int64_t steps) {
  return variances(Heun(options, steps), make_schedule(Karras{}, steps)).back();
}

// Churn leaves the marginals where they are: it only slows the walk.
TEST(HeunChurn, VarianceTendsToThePriors) {
  const double coarse = churned_variance({.s_churn = 40}, 200), fine = churned_variance({.s_churn = 40}, 400);
  EXPECT_NEAR(fine, lambda, 0.01);
  EXPECT_LT(std::abs(fine - lambda), 0.5 * std::abs(coarse - lambda));
  EXPECT_GT(churned_variance({.s_churn = 40, .s_noise = 1.05}, 400),
            lambda + 0.1);  // too much noise put back
}

}  // namespace
}  // namespace tweedie
