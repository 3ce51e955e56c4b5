// DiffPIR, DAPS and PnP-DM on Gaussian priors, where each is affine in its noise: the law of its draws
// follows from a recursion of means and covariances, and is held against the draws and against the posterior.
// RED-diff against its stationary point.
#include "core/shape.h"
#include "tweedie/red_diff.h"
#include "tweedie/splitting.h"

#include "posterior_problem.h"

#include <numeric>

namespace tweedie {
namespace {

const Shape image{1, side, side};
Tensor eye() {
  return at::eye(d, at::kDouble);
}

// x -> gain x + shift + n, n ~ N(0, covariance)
struct Affine {
  Tensor gain, shift, covariance;

  Law of(const Law& x) const {
    return {at::matmul(gain, x.mean) + shift,
            at::matmul(at::matmul(gain, x.covariance), gain.t()) + covariance};
  }
  Affine after(const Affine& first) const {
    const Law noise = of({first.shift, first.covariance});
    return {at::matmul(gain, first.gain), noise.mean, noise.covariance};
  }
};

Tensor shrinkage(const GaussianPrior& prior, double sigma) {
  const Tensor c = prior.covariance();
  return at::linalg_solve(c + sigma * sigma * eye(), c).t();
}

// D(x; sigma) as an affine map
Affine denoise(const GaussianPrior& prior, double sigma) {
  const Tensor k = shrinkage(prior, sigma);
  return {k, at::matmul(eye() - k, prior.flat_mean()), at::zeros({d, d}, at::kDouble)};
}

Affine ancestral(const GaussianPrior& prior, double t, double s) {
  const Affine map = denoise(prior, t);
  const double v = s / t * std::sqrt(t * t - s * s), keep = std::sqrt(s * s - v * v) / t;
  return {keep * eye() + (1 - keep) * map.gain, (1 - keep) * map.shift, v * v * eye()};
}

NoiseSchedule levels(const std::vector<double>& sigma) {
  return {at::tensor(sigma, at::kDouble), sigma.front()};
}

template <class Options>
Tensor draw(const Options& options, const Problem& problem, const NoiseSchedule& schedule, int64_t draws) {
  const auto method = posterior_sampler(options, schedule, {.dtype = at::kDouble});
  return method->sample(problem, draws, Noise(8), {}).x.reshape({draws, -1});
}

bool accepts(const Tensor& x, const Law& law) {
  return mean_p_value(x, law) > 1e-4 && covariance_z(x, law) < 4.5;
}
bool rejects(const Tensor& x, const Law& law) {
  return !(mean_p_value(x, law) > 1e-8 && covariance_z(x, law) < 8);
}

// An isotropic prior
struct Isotropic {
  static constexpr double variance = 2.0, noise_std = 0.3;
  explicit Isotropic(LinearOperatorPtr op = make_matrix(image, normal({7, d}, 5) / 2)) : a(std::move(op)) {
    problem.y = normal(with_batch(1, a->codomain()), 3) * 2;
  }

  std::shared_ptr<const GaussianPrior> prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(normal(image, 1), at::full(image, variance, at::kDouble)));
  LinearOperatorPtr a;
  Problem problem{prior, GaussianLikelihood(a, noise_std), {}};
  GaussianPosterior posterior{*prior, a->dense(), noise_std};
  Law exact() const { return {posterior.mean(problem.y).flatten(), posterior.covariance()}; }
};

Law diffpir_law(const GaussianProblem& p, const NoiseSchedule& schedule, double noise_std, double lambda,
                double zeta) {
  const Tensor a = p.a->dense(), ata = at::matmul(a.t(), a), aty = at::matmul(a.t(), p.flat_y()[0]);
  Law law{at::zeros({d}, at::kDouble), std::pow(schedule.initial_std, 2) * eye()};
  for (int64_t k = 0; k < schedule.steps(); ++k) {
    const double t = schedule.sigma[k].item<double>(), s = schedule.sigma[k + 1].item<double>();
    const double weight = lambda * noise_std * noise_std / (t * t);
    const Tensor inverse = at::linalg_inv(ata + weight * eye());
    const Affine mean = denoise(*p.prior, t);
    const Tensor gain = weight * at::matmul(inverse, mean.gain),
                 shift = at::matmul(inverse, aty + weight * mean.shift);
    const double keep = s / t * std::sqrt(1 - zeta);
    law = Affine{keep * eye() + (1 - keep) * gain, (1 - keep) * shift, s * s * zeta * eye()}.of(law);
  }
  return law;
}

TEST(Diffpir, HasTheLawOfItsRecursion) {
  const GaussianProblem p(make_blur(image, gaussian_kernel(0.6, 2)), 0.5);
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.3, .sigma_max = 10}, 8);
  const double lambda = 3, zeta = 0.3;
  const Tensor x = draw(DiffpirOptions{.lambda = lambda, .zeta = zeta}, p.problem, schedule, 2000);
  EXPECT_TRUE(accepts(x, diffpir_law(p, schedule, 0.5, lambda, zeta)));
  EXPECT_TRUE(rejects(x, diffpir_law(p, schedule, 0.5, lambda, 1 - zeta)));
  EXPECT_TRUE(rejects(x, diffpir_law(p, schedule, 0.5, lambda * lambda, zeta)));
  EXPECT_TRUE(rejects(x, {p.mean(), p.posterior.covariance()}));
}

// With Cov[x_0 | x_sigma] = sigma^2 / lambda I the proximal point is E[x_0 | x_sigma, y]; one step to level 0
// ends there.
TEST(Diffpir, IsThePosteriorMeanWhereItsCovarianceIsRight) {
  const Isotropic p;
  constexpr double sigma = 1.5;
  const double lambda = (p.variance + sigma * sigma) / p.variance;
  const auto denoiser = p.posterior.given(p.problem.y[0]);
  const Tensor start = Noise(8).stream(Stream::initial).normal({5, 1, side, side}, at::kDouble) * sigma;
  const Tensor exact = denoiser->mean(start, sigma).flatten(1);
  const auto step = [&](double trust) {
    return draw(DiffpirOptions{.lambda = trust}, p.problem, levels({sigma, 0}), 5);
  };
  EXPECT_LT(max_difference(step(lambda), exact), 1e-9);
  EXPECT_GT(max_difference(step(5 * lambda), exact), 0.05);
}

TEST(Diffpir, KeepsToDataWithoutNoise) {
  const GaussianProblem p(make_downsample(image, 2), 0);
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.3, .sigma_max = 10}, 8);
  const Tensor x = draw(DiffpirOptions{}, p.problem, schedule, 4);
  EXPECT_LT(max_difference(p.a->apply(x.view({4, 1, side, side})).flatten(1), p.flat_y().expand({4, -1})),
            1e-12);
}

// However few the levels: the law of x_0 is p(x_0 | y) after each of them. The first, 200, forgets the start.
TEST(Daps, IsExactForIsotropicPriors) {
  const Isotropic p;
  const NoiseSchedule schedule = levels({200, 2, 0.7, 0});
  EXPECT_TRUE(accepts(draw(DapsOptions{}, p.problem, schedule, 2000), p.exact()));
  // Rademacher probes see the trace of a multiple of I at once.
  const DapsOptions published{.spread = DapsOptions::Spread::sigma};
  EXPECT_TRUE(rejects(draw(published, p.problem, schedule, 2000), p.exact()));
  const Problem quiet{p.prior, GaussianLikelihood(p.a, 0.1), p.problem.y};
  EXPECT_TRUE(rejects(draw(DapsOptions{}, quiet, schedule, 2000), p.exact()));
}

// Steps of 0.05 widen a variance by up to 2.5%, of which 320 draws cannot tell: theirs have errors of 8%.
TEST(Daps, LangevinDrawsTheSame) {
  const Isotropic p(make_mask(random_mask(image, 0.5, Noise(4))));
  const NoiseSchedule schedule = levels({200, 1, 0});
  const InnerOptions langevin{.inner = InnerDraw::langevin, .inner_steps = 120, .inner_step = 0.05};
  EXPECT_TRUE(accepts(draw(DapsOptions{.inner = langevin}, p.problem, schedule, 320), p.exact()));
  const InnerOptions few{.inner = InnerDraw::langevin, .inner_steps = 3, .inner_step = 0.05};
  EXPECT_TRUE(rejects(draw(DapsOptions{.inner = few}, p.problem, schedule, 320), p.exact()));
}

// Without data and from one level to 0 a draw is x_hat + sigma n, n the same for both.
TEST(Daps, WalksTheProbabilityFlow) {
  const GaussianProblem p(make_blur(image, gaussian_kernel(0.6, 2)), 1e9);
  constexpr double sigma = 3;
  const auto end = [&](int64_t steps) {
    const DapsOptions options{.spread = DapsOptions::Spread::sigma, .ode_steps = steps};
    return draw(options, p.problem, levels({sigma, 0}), 3);
  };
  const Tensor start = Noise(8).stream(Stream::initial).normal({3, d}, at::kDouble) * sigma;
  const auto euler = [&](int64_t n) {
    Tensor x = start;
    for (int64_t i = 0; i < n; ++i) {
      const double t = sigma * std::pow(1 - static_cast<double>(i) / n, 7);
      const double s = sigma * std::pow(1 - static_cast<double>(i + 1) / n, 7);
      const Affine mean = denoise(*p.prior, t);
      const Tensor at = at::matmul(x, mean.gain.t()) + mean.shift;
      x = at + s / t * (x - at);
    }
    return x;
  };
  EXPECT_LT(max_difference(end(5) - end(1), euler(5) - euler(1)), 1e-6);
  EXPECT_GT(max_difference(end(5), end(1)), 0.1);
}

// Spreads differ from draw to draw when they are probed, and the exact draw then solves row by row.
TEST(Daps, ProbesTheTrace) {
  const GaussianProblem p(make_downsample(image, 2), 0.3);
  const DapsOptions whole{}, probed{.probes = 4};
  class Opaque final : public Denoiser {  // the same prior, not known to be analytic
   public:
    explicit Opaque(std::shared_ptr<const Denoiser> inner) : inner_(std::move(inner)) {}
    Shape shape() const override { return inner_->shape(); }

   protected:
    Tensor do_mean(const Tensor& x, const Tensor& sigma) const override { return inner_->mean(x, sigma); }
    Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
      return linearise(*inner_, x, sigma);
    }
    std::shared_ptr<const Denoiser> inner_;
  };
  const Problem opaque{std::make_shared<const Opaque>(p.prior), p.problem.likelihood, p.problem.y};
  const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.1, .sigma_max = 20}, 12);
  const auto run = [&](const DapsOptions& options, const Problem& problem) {
    return posterior_sampler(options, schedule, {})->sample(problem, 32, Noise(8), {});
  };
  const Draws a = run(whole, p.problem), b = run(probed, opaque);
  EXPECT_EQ(a.run.network_vjps, 12 * d);
  EXPECT_EQ(b.run.network_vjps, 12 * 4);
  EXPECT_TRUE(b.run.warnings.empty());
  // The same noise but for the width: the draws are near, not equal.
  EXPECT_LT((a.x - b.x).square().mean().sqrt().item<double>(), 0.3);
  EXPECT_GT(max_difference(a.x, b.x), 1e-4);
}

// Gibbs steps at fixed rho from x = 0, as the code discretises them
Law pnp_dm_law(const GaussianProblem& p, double rho, int64_t iterations, int64_t reverse_steps) {
  const Tensor a = p.a->dense(), y = p.flat_y()[0];
  const double n2 = std::pow(p.problem.likelihood.noise_std(), 2);
  const Tensor covariance = at::linalg_inv(at::matmul(a.t(), a) / n2 + eye() / (rho * rho));
  Affine step{covariance / (rho * rho), at::matmul(covariance, at::matmul(a.t(), y)) / n2, covariance};
  const NoiseSchedule down = make_schedule(Karras{.sigma_min = 1e-3 * rho, .sigma_max = rho}, reverse_steps);
  for (int64_t k = 0; k < reverse_steps; ++k) {
    const double t = down.sigma[k].item<double>(), s = down.sigma[k + 1].item<double>();
    step = ancestral(*p.prior, t, s).after(step);
  }
  Law law{at::zeros({d}, at::kDouble), at::zeros({d, d}, at::kDouble)};
  for (int64_t i = 0; i < iterations; ++i) law = step.of(law);
  return law;
}

TEST(PnpDm, HasTheLawOfItsGibbsChain) {
  const GaussianProblem p(make_downsample(image, 2), 0.3);
  constexpr double rho = 0.7;
  constexpr int64_t iterations = 20, reverse = 6;
  // Levels below rho_min are raised to it.
  const NoiseSchedule low = make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 0.1}, iterations);
  const Tensor x = draw(PnpDmOptions{.rho_min = rho, .reverse_steps = reverse}, p.problem, low, 960);
  EXPECT_TRUE(accepts(x, pnp_dm_law(p, rho, iterations, reverse)));
  EXPECT_TRUE(rejects(x, pnp_dm_law(p, rho / 2, iterations, reverse)));
  EXPECT_TRUE(rejects(x, pnp_dm_law(p, rho, 2, reverse)));

  // Which goes to the posterior under noise of covariance noise_std^2 I + rho^2 A A^T, not under noise_std^2
  // I: here A A^T = I / 4.
  const GaussianPosterior inflated(*p.prior, p.a->dense(), std::sqrt(0.09 + rho * rho / 4));
  const Law limit{inflated.mean(p.flat_y()).flatten(), inflated.covariance()};
  EXPECT_LT(distance(pnp_dm_law(p, rho, 400, 1000), limit), 0.03);
  EXPECT_LT(distance(pnp_dm_law(p, rho, 400, 1000), limit),
            0.2 * distance(pnp_dm_law(p, rho, 400, 100), limit));
  EXPECT_GT(distance({p.mean(), p.posterior.covariance()}, limit), 0.5);
}

// At one level Adam hovers about the point where the expected gradient is 0:
//   A^T (A mu - y) + lambda (m / d) (I - K) (mu - mean) = 0,   K = Sigma (Sigma + sigma^2 I)^{-1}
TEST(RedDiff, ConvergesToItsStationaryPoint) {
  const GaussianProblem p(make_downsample(image, 2), 0.3);
  constexpr int64_t steps = 800, n = 128;
  const double sigma = 0.8;
  const NoiseSchedule schedule{
      at::cat({at::linspace(sigma * 1.001, sigma, steps, at::kDouble), at::zeros({1}, at::kDouble)}), sigma};
  const Tensor a = p.a->dense(), ata = at::matmul(a.t(), a);
  const auto stationary = [&](double lambda) {
    const Tensor prior = lambda * static_cast<double>(a.size(0)) / d * (eye() - shrinkage(*p.prior, sigma));
    const Tensor b = at::matmul(a.t(), p.flat_y()[0]) + at::matmul(prior, p.prior->flat_mean());
    return at::linalg_solve(ata + prior, b);
  };
  const RedDiffOptions options{.lambda = 0.5, .learning_rate = 0.01};
  const auto method = posterior_sampler(options, schedule, {.dtype = at::kDouble});
  const Draws draws = method->sample(p.problem, n, Noise(8), {});
  const Tensor x = draws.x.reshape({n, d}), error = x.std(0) / std::sqrt(n);
  const auto worst_z = [&](double lambda) {
    return ((x.mean(0) - stationary(lambda)) / error).abs().max().item<double>();
  };
  EXPECT_LT(worst_z(0.5), 5);
  EXPECT_GT(worst_z(0.25), 15);
  EXPECT_GT(worst_z(1), 15);
  // A point, not a sample
  EXPECT_LT((x.var(0) / p.posterior.covariance().diagonal()).max().item<double>(), 0.1);
  ASSERT_EQ(draws.run.warnings.size(), 1U);
  EXPECT_THAT(draws.run.warnings[0], testing::HasSubstr("point estimate"));
}

}  // namespace
}  // namespace tweedie
