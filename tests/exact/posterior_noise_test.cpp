// Posteriors under noise that is not Gaussian, in one dimension, where the grid is exact: by which methods
// they are drawn, and by how much guidance is wrong.
#include "core/special.h"
#include "posterior/particle_engine.h"
#include "run/infer.h"
#include "tweedie/ddim.h"
#include "tweedie/guidance.h"
#include "tweedie/langevin_posterior.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"
#include "tweedie/splitting.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// p(x | y) for a prior of one dimension, smoothed to its level, on a grid
struct Grid {
  Tensor x, probability;  // (n)
  double log_evidence;

  Grid(const AnalyticPrior& prior, const Likelihood& likelihood, double y, double level = 0)
      : x(at::linspace(-12, 18, 30001, at::kDouble)) {
    const Tensor rows = x.unsqueeze(1), data = at::full({1, 1}, y, at::kDouble);
    const Tensor log_joint =
        prior.log_prob(rows, level) + likelihood.log_prob(data, rows) + std::log(30.0 / 30000);
    log_evidence = at::logsumexp(log_joint, 0).item<double>();
    probability = (log_joint - log_evidence).exp();
  }
  double mean() const { return (x * probability).sum().item<double>(); }
  double std() const { return std::sqrt((probability * (x - mean()).square()).sum().item<double>()); }
  // p-value of Kolmogorov's distance of independent draws
  double p_value(const Tensor& draws) const {
    const Tensor sorted = std::get<0>(draws.flatten().to(at::kDouble).sort()), cdf = probability.cumsum(0);
    const Tensor place = at::searchsorted(x, sorted).clamp(0, x.numel() - 1), f = cdf.index_select(0, place);
    const auto n = static_cast<double>(sorted.numel());
    const Tensor rank = at::arange(sorted.numel(), at::kDouble);
    return kolmogorov_p_value(
        std::max((f - rank / n).max().item<double>(), ((rank + 1) / n - f).max().item<double>()), n);
  }
};

struct NoisyProblem {
  std::shared_ptr<const AnalyticPrior> prior;
  Problem problem;
  double y;
  Grid grid(double level = 0) const { return {*prior, problem.likelihood, y, level}; }
};

std::shared_ptr<const AnalyticPrior> two_hills() {
  return std::make_shared<MixturePrior>(MixturePrior::isotropic(
      at::tensor({0.6, 0.4}, at::kDouble), at::tensor({0.5, 3.0}, at::kDouble).unsqueeze(1),
      at::tensor({0.5, 0.8}, at::kDouble)));
}
std::shared_ptr<const AnalyticPrior> one_hill() {
  return std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::full({1}, 1.5, at::kDouble), at::full({1}, 1.44, at::kDouble)));
}

NoisyProblem noisy(std::shared_ptr<const AnalyticPrior> prior, const NoiseModelPtr& noise, double y) {
  return {
      prior, {prior, Likelihood(scale(make_identity({1}), 2), noise), at::full({1, 1}, y, at::kDouble)}, y};
}

Counting counting(double gain, double background) {
  return {gain, at::scalar_tensor(background, at::kDouble), false};
}
NoiseModelPtr poisson(double background = 0.5) {
  return make_poisson_noise(counting(1, background));
}

struct Case {
  const char* name;
  NoiseModelPtr noise;
  double y;
};
// Where x is negative counts without background are impossible, which is for a sixth of one_hill.
const Case cases[] = {{"Poisson", poisson(), 4},
                      {"PoissonNoCounts", poisson(), 0},
                      {"PoissonNoBackground", poisson(0), 2},
                      {"PoissonGaussian", make_poisson_gaussian_noise(counting(1, 0.5), 0.4), 2.7},
                      {"Laplace", make_laplace_noise(0.8), 4},
                      {"Student", make_student_noise(2, 0.6), 6},
                      {"Logit", make_bernoulli_noise({Link::logit, 0.5, 2}), 1},
                      {"Probit", make_bernoulli_noise({Link::probit, 0.5, 2}), 0}};

class UnderNoise : public testing::TestWithParam<Case> {};

NoiseSchedule schedule(int64_t steps) {
  return make_schedule(Karras{.sigma_min = 0.02, .sigma_max = 20}, steps);
}

// Mean of Z-hat / Z over chains within 5 standard errors, and the draws' mean and spread likewise, whose
// errors are those of chains too. 200 steps leave a bias of the discretised prior that is below these errors.
TEST_P(UnderNoise, TdsIsExactEvidenceIncluded) {
  const NoisyProblem p = noisy(two_hills(), GetParam().noise, GetParam().y);
  const Grid exact = p.grid();
  const int64_t chains = 48, particles = 48;
  std::vector<TdsOptions::Twist> twists{TdsOptions::Twist::pigdm};
  if (GetParam().name == std::string("Poisson"))
    twists = {TdsOptions::Twist::pigdm, TdsOptions::Twist::dps, TdsOptions::Twist::bootstrap};
  for (const auto twist : twists) {
    TdsOptions options;
    options.twist = twist;
    options.smc.particles = particles;
    options.smc.chains = chains;
    const Draws draws = posterior_sampler(options, schedule(60), {.dtype = at::kDouble})
                            ->sample(p.problem, chains * particles, Noise(3), {});
    const Tensor ratio = (draws.run.particles->log_evidence.flatten() - exact.log_evidence).exp();
    const double error = 5 * ratio.std().item<double>() / std::sqrt(static_cast<double>(chains));
    EXPECT_NEAR(ratio.mean().item<double>(), 1, error + 0.02) << static_cast<int>(twist);
    EXPECT_LT(error, 0.8);
    // Self-normalised over all chains; errors by the spread of what each chain contributes
    const Tensor w = draws.log_weight.flatten().sub(draws.log_weight.max()).exp().view({chains, particles}),
                 x = draws.x.flatten().view({chains, particles});
    const auto check = [&](const Tensor& value, double expected, const char* what) {
      const Tensor deviation = (w * (value - expected)).sum(1);
      const double mean = (deviation.sum() / w.sum()).item<double>();
      const double standard =
          (deviation.std() * std::sqrt(static_cast<double>(chains)) / w.sum()).item<double>();
      EXPECT_LT(std::abs(mean), 5 * standard + 0.02 * exact.std()) << what << static_cast<int>(twist);
    };
    check(x, exact.mean(), "mean ");
    check((x - exact.mean()).square(), exact.std() * exact.std(), "variance ");
  }
}

// A chain at a fixed level with Metropolis' rule is exact for the prior at that level.
TEST_P(UnderNoise, PosteriorLangevinIsExactAtItsLevel) {
  const NoisyProblem p = noisy(two_hills(), GetParam().noise, GetParam().y);
  constexpr double level = 0.8;
  const PosteriorLangevinOptions options{.step = 0.5, .level = level, .warmup = 250, .metropolis = true};
  const Draws draws = posterior_sampler(options, make_schedule(Karras{.sigma_min = 0.8, .sigma_max = 10}, 10),
                                        {.dtype = at::kDouble})
                          ->sample(p.problem, 640, Noise(4), {});
  EXPECT_GT(p.grid(level).p_value(draws.x), 1e-3);
  EXPECT_GT(*draws.run.acceptance_rate, 0.5);
}

// For a Gaussian prior DAPS draws from q exactly at its last level, whatever the noise.
TEST_P(UnderNoise, DapsIsExactForGaussianPriors) {
  const NoisyProblem p = noisy(one_hill(), GetParam().noise, GetParam().y);
  const NoiseSchedule two{at::tensor({50.0, 1.0, 0.0}, at::kDouble), 50};
  const DapsOptions options{.inner = {.inner_steps = 150, .inner_step = 0.4}};
  const Draws draws =
      posterior_sampler(options, two, {.dtype = at::kDouble})->sample(p.problem, 640, Noise(5), {});
  EXPECT_GT(p.grid().p_value(draws.x), 1e-3);
}

// Its stationary law has y's noise seen through z ~ N(x, rho^2): close to the posterior where rho is small.
TEST_P(UnderNoise, PnpDmIsNearForSmallRho) {
  const NoisyProblem p = noisy(one_hill(), GetParam().noise, GetParam().y);
  const PnpDmOptions options{
      .rho_min = 0.3, .reverse_steps = 20, .inner = {.inner_steps = 40, .inner_step = 0.4}};
  const Draws draws = posterior_sampler(options, make_schedule(Karras{.sigma_min = 0.3, .sigma_max = 5}, 30),
                                        {.dtype = at::kDouble})
                          ->sample(p.problem, 256, Noise(6), {});
  const Grid exact = p.grid();
  EXPECT_NEAR(draws.x.mean().item<double>(), exact.mean(), 0.35 * exact.std());
  EXPECT_NEAR(draws.x.std().item<double>(), exact.std(), 0.25 * exact.std());
}

// Without other noise than the one stated: a model of the wrong law is found out by what passes the right
// one.
TEST_P(UnderNoise, AnotherLawIsFoundOut) {
  const NoisyProblem p = noisy(one_hill(), GetParam().noise, GetParam().y);
  const NoisyProblem other = noisy(one_hill(), make_gaussian_noise(0.4), GetParam().y);
  const NoiseSchedule two{at::tensor({50.0, 1.0, 0.0}, at::kDouble), 50};
  const Draws draws = posterior_sampler(DapsOptions{}, two, {.dtype = at::kDouble})
                          ->sample(other.problem, 1280, Noise(5), {});
  EXPECT_LT(p.grid().p_value(draws.x), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(All, UnderNoise, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

// What dps drops, the spread of x_0 given x_sigma, makes its draws too narrow where y says much: here to 0.2
// to 0.8 of the posterior's standard deviation.
TEST(NoiseOfDps, PoissonDrawsAreTooNarrowByAsMuchAsStated) {
  const NoisyProblem p = noisy(one_hill(), make_poisson_noise(counting(10, 0.5)), 40);
  const Grid exact = p.grid();
  const GuidedSampler sampler(DpsOptions{}, std::make_shared<Ddim>(DdimOptions{.eta = 1}), schedule(400),
                              {.dtype = at::kDouble});
  const Tensor x = sampler.sample(p.problem, 640, Noise(7), {}).x;
  const double ratio = x.std().item<double>() / exact.std();
  EXPECT_GT(ratio, 0.2);
  EXPECT_LT(ratio, 0.8);
  EXPECT_LT(exact.p_value(x), 1e-6);
  EXPECT_NEAR(x.mean().item<double>(), exact.mean(), 0.5 * exact.std());
  // At one point: D + sigma^2 J A grad log p
  const double sigma = 0.7;
  const Tensor at = at::full({1, 1}, 1.2, at::kDouble), d = p.prior->mean(at, sigma);
  const double j = 1.44 / (1.44 + sigma * sigma), rate = 20 * d.item<double>() + 0.5;
  const auto guided = guide(DpsOptions{}, p.prior, p.problem.likelihood, p.problem.y);
  EXPECT_NEAR(guided->mean(at, sigma).item<double>(),
              d.item<double>() + sigma * sigma * j * 20 * (40 / rate - 1), 1e-10);
}

// Noise of which the two ways of being told are the same law gives the same walk.
TEST(NoiseOfDps, StepSizeIsTheSameDirection) {
  const auto prior = one_hill();
  const auto guided = [&](const NoiseModelPtr& noise, double y) {
    const NoisyProblem p = noisy(prior, noise, y);
    return guide(DpsOptions{.step_size = 0.5}, prior, p.problem.likelihood, p.problem.y)
        ->mean(at::full({1, 1}, 1.2, at::kDouble), 0.7)
        .item<double>();
  };
  EXPECT_NEAR(guided(poisson(), 4), guided(make_gaussian_noise(0.3), 4), 1e-12);
  EXPECT_NEAR(guided(make_student_noise(3, 0.1), 4), guided(make_gaussian_noise(0.3), 4), 1e-12);
}

TEST(NoiseOfMethods, OthersRefuseByName) {
  const NoisyProblem p = noisy(one_hill(), poisson(), 4);
  const auto refuses = [&](const PosteriorSampler& method, const std::string& name) {
    expect_error([&] { method.sample(p.problem, 1, Noise(1), {}); },
                 {"method.kind", name + " takes gaussian noise only", "tds", "take poisson"});
  };
  refuses(*posterior_sampler(McgdiffOptions{}, schedule(4), {}), "mcgdiff");
  refuses(*posterior_sampler(DiffpirOptions{}, schedule(4), {}), "diffpir");
  refuses(GuidedSampler(MmpsOptions{}, std::make_shared<Ddim>(DdimOptions{}), schedule(4), {}), "mmps");
  refuses(ExactSampler({}), "exact");
  expect_error(
      [&] {
        posterior_sampler(DapsOptions{.inner = {.inner = InnerDraw::exact}}, schedule(4), {})
            ->sample(p.problem, 1, Noise(1), {});
      },
      {"method.inner", "exact", "daps", "poisson", "langevin"});
  expect_error([&] { p.problem.likelihood.noise_std(); }, {"method.kind", "gaussian", "poisson"});
}

}  // namespace
}  // namespace tweedie
