// DPS against its paper, and where it can be trusted.
#include "core/shape.h"
#include "tweedie/ddim.h"
#include "tweedie/diagnostics.h"

#include "posterior_problem.h"

namespace tweedie {
namespace {

// The paper's algorithm 1 in its own coordinate x_t, with D and its derivative in closed form:
//   x' = sqrt(alpha_t) (1 - bar_s) / (1 - bar_t) x_t + sqrt(bar_s) beta_t / (1 - bar_t) D + std z,
//   x_s = x' - zeta grad_{x_t} || y - A D ||,   s = t - 1, and no noise at the last step
Tensor algorithm_1(const GaussianProblem& p, const Tensor& x_t, int64_t t, double zeta, const Tensor& z) {
  const VpLinear ddpm;
  const Tensor bars = alpha_bar(ddpm);
  const double bar_t = bars[t].item<double>(), bar_s = bars[t - 1].item<double>();
  const double alpha = bar_t / bar_s, beta = 1 - alpha;
  const Tensor covariance = p.prior->covariance(), m = p.prior->flat_mean(), a = p.a->dense();
  const Tensor total = bar_t * covariance + (1 - bar_t) * at::eye(d, at::kDouble);
  const Tensor jacobian = std::sqrt(bar_t) * at::linalg_solve(total, covariance).t();
  const Tensor mean = m + at::matmul(x_t - std::sqrt(bar_t) * m, jacobian.t());
  const Tensor r = p.flat_y() - at::matmul(mean, a.t());
  const Tensor gradient = -at::matmul(at::matmul(r / r.norm(2, {1}, true), a), jacobian);
  const double std = std::sqrt((1 - bar_s) / (1 - bar_t) * beta);
  return std::sqrt(alpha) * (1 - bar_s) / (1 - bar_t) * x_t + std::sqrt(bar_s) * beta / (1 - bar_t) * mean +
         std * z - zeta * gradient;
}

TEST(DpsStepSize, IsOneStepOfAlgorithm1) {
  constexpr double zeta = 0.7;
  const GaussianProblem p(make_matrix({1, side, side}, normal({7, d}, 5)), 0.1, 4);
  const auto denoiser = guide(DpsOptions{.step_size = zeta}, p.prior, p.problem.likelihood, p.problem.y);
  const Tensor bars = alpha_bar(VpLinear{});
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 1000);
  for (const int64_t t : {1, 2, 10, 200, 500, 900, 1000}) {
    const Tensor x_t = normal({4, d}, 6);
    const double from = schedule.sigma[1000 - t].item<double>(), to = schedule.sigma[1001 - t].item<double>();
    Noise noise(7), same(7);
    const Tensor x = (x_t / bars[t].sqrt()).view({4, 1, side, side});
    const Tensor ours = Ddim({.eta = 1}).step(*denoiser, x, from, to, noise).flatten(1) * bars[t - 1].sqrt();
    const Tensor z = same.normal(x.sizes(), at::kDouble).flatten(1);
    const Tensor theirs = algorithm_1(p, x_t, t, zeta, z);
    // The guidance is a small part of a step: it is held against its own size.
    const Tensor guidance = theirs - algorithm_1(p, x_t, t, 0, z);
    EXPECT_LT(max_difference(ours, theirs), 1e-6 * guidance.abs().max().item<double>()) << t;
    // grad || r ||^2 / || r || is twice as long.
    EXPECT_GT(max_difference(ours, theirs + guidance), 0.1 * guidance.abs().max().item<double>()) << t;
  }
}

TEST(DpsStepSize, DoesNotDependOnTheNoiseStd) {
  const GaussianProblem p(make_downsample({1, side, side}, 2), 0.1, 2), q(p.a, 7, 2);
  const Tensor x = normal({2, 1, side, side}, 8);
  const auto mean = [&](const Likelihood& likelihood) {
    return guide(DpsOptions{.step_size = 0.5}, p.prior, likelihood, p.problem.y)->mean(x, 1.5);
  };
  EXPECT_TRUE(at::equal(mean(p.problem.likelihood), mean(q.problem.likelihood)));
}

// The gradient that DPS takes is that of log N(y; A D(x), noise_std^2 I), here by central differences.
TEST(Dps, IsTheGradientOfItsLikelihood) {
  const GaussianProblem p(make_blur({1, side, side}, gaussian_kernel(0.6, 2)), 0.4, 2);
  const double sigma = 0.8, h = 1e-5;
  const Tensor x = normal({2, 1, side, side}, 9), v = normal({2, 1, side, side}, 10);
  const auto log_likelihood = [&](const Tensor& at) {
    return p.problem.likelihood.log_prob(p.problem.y, p.prior->mean(at, sigma));
  };
  const auto denoiser = guide(DpsOptions{}, p.prior, p.problem.likelihood, p.problem.y);
  const Tensor gradient = (denoiser->mean(x, sigma) - p.prior->mean(x, sigma)) / (sigma * sigma);
  const Tensor difference = (log_likelihood(x + h * v) - log_likelihood(x - h * v)) / (2 * h);
  EXPECT_TRUE(at::allclose((gradient * v).flatten(1).sum(1), difference, 1e-7));
}

NoiseSchedule grid(int64_t steps) {
  return make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 50}, steps);
}

// Where the noise outweighs the prior, the covariance that DPS drops, A Cov[x_0 | x_sigma] A^T, is nothing
// beside noise_std^2.
TEST(Dps, IsNearThePosteriorAtLargeNoise) {
  const auto error = [](double noise_std) {
    const GaussianProblem p(make_downsample({1, side, side}, 2), noise_std);
    const Law exact{p.mean(), p.posterior.covariance()};
    return distance(law_of(DpsOptions{}, p, Heun({}, 60), grid(60)), exact);
  };
  EXPECT_LT(error(8), 0.15);
  EXPECT_FALSE(error(1) < 1);
}

TEST(Dps, CollapsesAtSmallNoiseAndTheDiagnosticSaysSo) {
  constexpr double noise_std = 0.1;
  const GaussianProblem p(make_downsample({1, side, side}, 2), noise_std, 4);
  const auto measured = [&](const Guidance& guidance, std::shared_ptr<const Sampler> sampler, int64_t steps) {
    const GuidedSampler method(guidance, sampler, grid(steps), {});
    const Tensor x = method.sample(p.problem, 16, Noise(11), {}).x;
    return p.a->apply(x.flatten(0, 1)).reshape({16, 4, -1});
  };
  // DPS is stiff: steps longer than this have it explode rather than collapse.
  const Tensor collapsed = measured(DpsOptions{}, std::make_shared<Ddim>(), 400);
  const Tensor sound = measured(MmpsOptions{.iterations = d}, std::make_shared<Heun>(HeunOptions{}, 24), 24);
  const Tensor a = p.a->dense(), c = p.posterior.covariance();
  const Tensor exact = at::matmul(at::matmul(a, c), a.t()).diagonal();
  const auto ratio = [&](const Tensor& ax) { return (ax.var(0, true) / exact).mean().item<double>(); };
  EXPECT_LT(ratio(collapsed), 0.05);
  // 240 degrees of freedom, so a standard deviation of 0.09
  EXPECT_NEAR(ratio(sound), 1, 0.35);

  for (const Tensor& known : {Tensor(), exact}) {
    const MeasuredVariance variance{.prior = {}, .posterior = known};
    const auto status = [&](const Tensor& ax) {
      return variance_collapse(ax, p.flat_y(), noise_std, variance).status;
    };
    EXPECT_EQ(status(collapsed), Finding::Status::fail);
    EXPECT_EQ(status(sound), Finding::Status::pass);
  }
}

}  // namespace
}  // namespace tweedie
