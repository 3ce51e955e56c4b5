// The chain of posterior-langevin on a Gaussian prior, whose target at level sigma is N(m, Sigma + sigma^2 I)
// times the likelihood: MALA has that law; unadjusted moves of precision P = (target's covariance)^{-1} in
// the metric M have covariance (P - step P M P / 2)^{-1}. And operators that are not linear, one coordinate
// at a time, against quadrature.
#include "core/shape.h"
#include "tweedie/langevin_posterior.h"
#include "tweedie/red_diff.h"
#include "tweedie/splitting.h"

#include "posterior_problem.h"

namespace tweedie {
namespace {

const Shape image{1, side, side};
constexpr double level = 1.2;

template <class Options>
Draws draw(const Options& options, const Problem& problem, const NoiseSchedule& schedule, int64_t draws) {
  return posterior_sampler(options, schedule, {.dtype = at::kDouble})->sample(problem, draws, Noise(9), {});
}

bool accepts(const Tensor& x, const Law& law) {
  return mean_p_value(x, law) > 1e-4 && covariance_z(x, law) < 4.5;
}
bool rejects(const Tensor& x, const Law& law) {
  return !(mean_p_value(x, law) > 1e-8 && covariance_z(x, law) < 8);
}

struct Chain : testing::TestWithParam<bool> {
  // Of p_sigma(x) p(y | x)
  Law target(double sigma) const {
    const Tensor covariance = p.prior->covariance() + sigma * sigma * at::eye(d, at::kDouble);
    const GaussianPosterior posterior(GaussianPrior::full(p.prior->flat_mean(), covariance), p.a->dense(),
                                      p.problem.likelihood.noise_std());
    return {posterior.mean(p.flat_y()).flatten(), posterior.covariance()};
  }
  Law unadjusted(double step) const {
    const Law exact = target(level);
    const Tensor a = p.a->dense(), eye = at::eye(d, at::kDouble);
    const Tensor data = GetParam() ? at::matmul(a.t(), a) : std::pow(p.a->norm(), 2) * eye;
    const Tensor m =
        at::linalg_inv(eye / (level * level) + data / std::pow(p.problem.likelihood.noise_std(), 2));
    const Tensor precision = at::linalg_inv(exact.covariance);
    return {exact.mean,
            at::linalg_inv(precision - step / 2 * at::matmul(precision, at::matmul(m, precision)))};
  }
  PosteriorLangevinOptions options(double step, bool metropolis) const {
    return {
        .step = step, .precondition = GetParam(), .level = level, .warmup = 120, .metropolis = metropolis};
  }

  GaussianProblem p{
      GetParam() ? make_blur(image, gaussian_kernel(0.6, 2)) : make_mask(random_mask(image, 0.5, Noise(4))),
      GetParam() ? 0.4 : 1.5};
  NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.5, .sigma_max = 20}, 12);
};

INSTANTIATE_TEST_SUITE_P(Preconditioned, Chain, testing::Bool());

TEST_P(Chain, OfMetropolisIsExact) {
  const Draws draws = draw(options(0.35, true), p.problem, schedule, 320);
  const Tensor x = draws.x.reshape({320, d});
  EXPECT_TRUE(accepts(x, target(level)));
  EXPECT_TRUE(rejects(x, target(0.1)));
  EXPECT_TRUE(rejects(x, {p.mean(), p.posterior.covariance()}));
  ASSERT_TRUE(draws.run.acceptance_rate);
  EXPECT_GT(*draws.run.acceptance_rate, 0.3);
  EXPECT_LT(*draws.run.acceptance_rate, 0.98);
}

TEST_P(Chain, WithoutItHasTheBiasOfItsStep) {
  const Draws draws = draw(options(0.9, false), p.problem, schedule, 480);
  const Tensor x = draws.x.reshape({480, d});
  EXPECT_TRUE(accepts(x, unadjusted(0.9)));
  EXPECT_TRUE(rejects(x, target(level)));
  EXPECT_FALSE(draws.run.acceptance_rate);
}

TEST(PosteriorLangevin, KeepsItsChainsTogether) {
  const GaussianProblem p(make_downsample(image, 2), 0.4, 2);
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.5, .sigma_max = 20}, 5);
  const auto run = [&](int64_t chains, int64_t draws) {
    return draw(PosteriorLangevinOptions{.chains = chains, .warmup = 7, .thin = 3}, p.problem, schedule,
                draws);
  };
  const Draws draws = run(4, 20);
  EXPECT_EQ(draws.run.chains, 4);
  EXPECT_EQ(draws.x.sizes().vec(), (Shape{20, 2, 1, side, side}));
  EXPECT_EQ(draws.log_weight.sizes().vec(), (Shape{20, 2}));
  // Chain k's first draws are the same however many are kept.
  const Tensor few = run(4, 8).x.view({4, 2, 2, d}), all = draws.x.view({4, 5, 2, d});
  EXPECT_TRUE(at::equal(few, all.slice(1, 0, 2)));
  EXPECT_TRUE(at::equal(run(2, 10).x.view({2, 5, 2, d}), all.slice(0, 0, 2)));
  // 4 levels of 5 moves, 7 of warm-up, 4 times 3: shared by the 5 draws of a chain
  EXPECT_EQ(draws.run.steps, 4 * 5 + 7 + 12);
  EXPECT_DOUBLE_EQ(draws.run.network_evaluations, (4 * 5 + 7 + 12) / 5.0);
  expect_error([&] { run(3, 20); }, {"method.chains", "3", "20"});
}

// y = sinh(x) + noise, coordinate by coordinate
class Sinh final : public ForwardOperator {
 public:
  Shape domain() const override { return {4}; }
  Shape codomain() const override { return {4}; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return x.sinh(); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return x.cosh() * v; }
};

struct Nonlinear {
  explicit Nonlinear(double noise) : noise_std(noise) {}
  // Mean and variance of x ~ N(0, prior_variance) given y = sinh(x + rho n) + noise, by the trapezium rule
  std::pair<double, double> moments(double prior_variance, double rho = 0) const {
    const Tensor x = at::linspace(-6, 6, 1201, at::kDouble), n = at::linspace(-6, 6, 241, at::kDouble);
    const Tensor r = (y - (x.unsqueeze(1) + rho * n).sinh()) / noise_std;
    const Tensor likelihood = at::matmul((-0.5 * r.square()).exp(), (-0.5 * n.square()).exp());
    const Tensor w = likelihood * (-0.5 * x.square() / prior_variance).exp(), p = w / w.sum();
    const double mean = (p * x).sum().item<double>();
    return {mean, (p * (x - mean).square()).sum().item<double>()};
  }
  // Largest z of the draws' mean and variance, whose kurtosis is taken for a Gaussian's
  static double worst_z(const Tensor& x, std::pair<double, double> exact) {
    const auto n = static_cast<double>(x.numel());
    const double mean = (x.mean().item<double>() - exact.first) / std::sqrt(exact.second / n);
    const double variance = (x.var().item<double>() / exact.second - 1) / std::sqrt(2 / n);
    return std::max(std::abs(mean), std::abs(variance));
  }

  static constexpr double y = 2;
  double noise_std;
  std::shared_ptr<const GaussianPrior> prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({4}, at::kDouble), at::ones({4}, at::kDouble)));
  Problem problem{prior, GaussianLikelihood(std::make_shared<Sinh>(), noise_std),
                  at::full({1, 4}, y, at::kDouble)};
};

TEST(NonlinearOperator, DapsIsStillExact) {
  const Nonlinear p(0.7);
  const NoiseSchedule schedule{at::tensor({100.0, 1.0, 0.0}, at::kDouble), 100};
  const InnerOptions inner{.inner_steps = 200, .inner_step = 0.05};
  const Tensor x = draw(DapsOptions{.inner = inner}, p.problem, schedule, 640).x;
  EXPECT_LT(p.worst_z(x, p.moments(1)), 4.5);
  EXPECT_GT(p.worst_z(x, p.moments(2)), 8);
  expect_error([&] { draw(DapsOptions{.inner = {.inner = InnerDraw::exact}}, p.problem, schedule, 1); },
               {"method.inner", "linear", "langevin"});
}

TEST(NonlinearOperator, PnpDmInflatesTheNoise) {
  const Nonlinear p(0.7);
  constexpr double rho = 0.8;
  const NoiseSchedule low = make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 0.1}, 12);
  const PnpDmOptions options{
      .rho_min = rho, .reverse_steps = 40, .inner = {.inner_steps = 160, .inner_step = 0.05}};
  const Tensor x = draw(options, p.problem, low, 160).x;
  // 40 ancestral steps lose 15% of the variance, 2.7 standard errors of these 640 values.
  EXPECT_LT(p.worst_z(x, p.moments(1, rho)), 6.5);
  EXPECT_GT(p.worst_z(x, p.moments(1)), 15);
}

TEST(NonlinearOperator, PosteriorLangevinIsExactAtItsLevel) {
  const Nonlinear p(2);
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.5, .sigma_max = 5}, 8);
  const PosteriorLangevinOptions options{.step = 0.3, .level = 1, .warmup = 200, .metropolis = true};
  const Tensor x = draw(options, p.problem, schedule, 320).x;
  EXPECT_LT(p.worst_z(x, p.moments(2)), 4.5);
  EXPECT_GT(p.worst_z(x, p.moments(1)), 6);
}

// Where the gradient of its loss is 0
TEST(NonlinearOperator, RedDiffMinimisesItsLoss) {
  const Nonlinear p(0.7);
  const NoiseSchedule schedule{
      at::cat({at::linspace(0.501, 0.5, 600, at::kDouble), at::zeros({1}, at::kDouble)}), 0.5};
  const Tensor x = draw(RedDiffOptions{.lambda = 1, .learning_rate = 0.01}, p.problem, schedule, 32).x;
  const double mu = x.mean().item<double>(), keep = 1 / 1.25;
  const auto gradient = [&](double at) {
    return std::cosh(at) * (std::sinh(at) - Nonlinear::y) + (1 - keep) * at;
  };
  EXPECT_LT(gradient(mu - 0.02), 0);
  EXPECT_GT(gradient(mu + 0.02), 0);
}

}  // namespace
}  // namespace tweedie
