// Particle methods against the chain they really run: on a Gaussian prior every step is affine, so the law of
// the discretised walk, and with it the evidence that they estimate without bias, follows without Monte
// Carlo.

#include "posterior/particle_engine.h"
#include "prior/gaussian_posterior.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"

#include "check_tensor.h"

#include <cmath>
#include <map>

namespace tweedie {
namespace {

// x in R^3, correlated; y two rotated coordinates with singular values 1 and 0.4
struct Correlated {
  std::shared_ptr<const GaussianPrior> prior =
      std::make_shared<GaussianPrior>(GaussianPrior::full(0.5 * normal({3}, 1), random_covariance(3, 2)));
  Tensor matrix = [] {
    const auto [q, r] = at::linalg_qr(normal({3, 2}, 3));
    return at::matmul(at::tensor({1.0, 0.4}, at::kDouble).diag(), q.t());
  }();
  Problem problem(double noise_std, int64_t cases = 1) const {
    Problem p{prior, GaussianLikelihood(make_matrix({3}, matrix), noise_std), {}};
    p.y = at::tensor({0.7, -0.3}, at::kDouble).expand({cases, 2}).contiguous();
    return p;
  }
};

const NoiseSchedule& schedule(int64_t steps) {
  static std::map<int64_t, NoiseSchedule> known;
  if (!known.contains(steps))
    known.emplace(steps, make_schedule(Karras{.sigma_min = 0.02, .sigma_max = 20}, steps));
  return known.at(steps);
}

// The law of the discretised walk at the given levels, jointly: means and covariances of its states.
struct Walk {
  std::vector<Tensor> mean;                // (3) at each level
  std::vector<std::vector<Tensor>> cross;  // cross[j][i] = Cov(x_j, x_i), i <= j
};

Walk walk_law(const GaussianPrior& prior, const std::vector<double>& sigma, double initial_std, double eta) {
  const Tensor one = at::eye(3, at::kDouble), m = prior.flat_mean();
  Walk law{{at::zeros({3}, at::kDouble)}, {{one * (initial_std * initial_std)}}};
  for (size_t k = 0; k + 1 < sigma.size(); ++k) {
    const double t = sigma[k], s = sigma[k + 1], c = eta * (s / t) * std::sqrt(t * t - s * s);
    const double a = std::sqrt(s * s - c * c) / t;
    const Tensor shrink = at::matmul(prior.covariance(), at::linalg_inv(prior.covariance() + t * t * one));
    const Tensor gain = a * one + (1 - a) * shrink, shift = (1 - a) * at::mv(one - shrink, m);
    law.mean.push_back(at::mv(gain, law.mean[k]) + shift);
    std::vector<Tensor> row;
    for (const Tensor& earlier : law.cross[k]) row.push_back(at::matmul(gain, earlier));
    row.push_back(at::matmul(row.back(), gain.t()) + c * c * one);
    law.cross.push_back(row);
  }
  return law;
}

double log_normal(const Tensor& x, const Tensor& mean, const Tensor& covariance) {
  return GaussianPrior::full(mean, covariance).log_prob(x.unsqueeze(0)).item<double>();
}

// z of the mean of exp(log_ratio) against 1
double z_of_one(const Tensor& log_ratio) {
  const Tensor ratio = log_ratio.exp();
  return ((ratio.mean() - 1) / (ratio.std() / std::sqrt(static_cast<double>(ratio.numel())))).item<double>();
}

TEST(Evidence, TdsEstimatesTheDiscretisedOneWithoutBias) {
  const Correlated c;
  const double noise_std = 0.3;
  const auto& levels = schedule(12);
  const double* s = levels.sigma.data_ptr<double>();
  const Walk law = walk_law(*c.prior, {s, s + levels.sigma.numel()}, levels.initial_std, 1);
  const Problem p = c.problem(noise_std);
  const Tensor covariance = at::matmul(at::matmul(c.matrix, law.cross.back().back()), c.matrix.t()) +
                            noise_std * noise_std * at::eye(2, at::kDouble);
  const double exact = log_normal(p.y[0], at::mv(c.matrix, law.mean.back()), covariance);
  for (const auto twist : {TdsOptions::Twist::pigdm, TdsOptions::Twist::dps, TdsOptions::Twist::bootstrap}) {
    TdsOptions options{.twist = twist};
    options.smc.particles = 50;
    options.smc.chains = 600;
    const Draws draws =
        posterior_sampler(options, levels, {.dtype = at::kDouble})->sample(p, 50 * 600, Noise(4), {});
    const Tensor log_ratio = draws.run.particles->log_evidence.flatten() - exact;
    if (twist == TdsOptions::Twist::dps) {
      // A twist without spread wastes its particles, but is not biased; its ratios are too heavy-tailed for a
      // z.
      EXPECT_LT(log_ratio.median().item<double>(), 0.5);
      continue;
    }
    EXPECT_LT(std::abs(z_of_one(log_ratio)), 4) << static_cast<int>(twist);  // P = 6e-5
    EXPECT_LT(log_ratio.std().item<double>(), 1.5);
    // Wrong twins: the evidence under the continuous prior, and the average of the logarithms
    const double continuous = c.prior->condition(c.matrix, noise_std)->log_evidence(p.y)[0].item<double>();
    if (twist == TdsOptions::Twist::pigdm) {
      EXPECT_GT(std::abs(z_of_one(log_ratio + (exact - continuous))), 4);
    }
  }
}

// MCGdiff's walk passes through target_i at level noise_std / s_i: what it estimates is a joint Gaussian.
struct McgdiffLaw {
  double log_evidence;
  Tensor mean, covariance;  // of x at the end, given y
};

McgdiffLaw mcgdiff_law(const Correlated& c, const NoiseSchedule& levels, double noise_std, double eta) {
  const double* s = levels.sigma.data_ptr<double>();
  const auto [u, value, vt] = at::linalg_svd(c.matrix, false);
  const std::vector<double> passed{noise_std, noise_std / 0.4};  // of singular values 1 and 0.4
  std::vector<double> sigma(s, s + levels.sigma.numel());
  sigma.insert(sigma.end(), passed.begin(), passed.end());
  std::sort(sigma.begin(), sigma.end(), std::greater<>());
  const auto index_of = [&](double level) {
    return static_cast<size_t>(std::find(sigma.begin(), sigma.end(), level) - sigma.begin());
  };
  const size_t first = index_of(passed[1]), second = index_of(passed[0]);
  const Walk law = walk_law(*c.prior, sigma, levels.initial_std, eta);
  const Tensor v0 = vt[0], v1 = vt[1];
  Tensor covariance = at::empty({2, 2}, at::kDouble);
  covariance[0][0] = at::dot(v0, at::mv(law.cross[second][second], v0));
  covariance[1][1] = at::dot(v1, at::mv(law.cross[first][first], v1));
  covariance[0][1] = covariance[1][0] = at::dot(v0, at::mv(law.cross[second][first], v1));
  const Tensor mean = at::stack({at::dot(v0, law.mean[second]), at::dot(v1, law.mean[first])});
  const Tensor target = at::mv(u.t(), c.problem(noise_std).y[0]) / value;
  const Tensor cross =
      at::stack({at::mv(law.cross.back()[second], v0), at::mv(law.cross.back()[first], v1)}, 1);
  const Tensor gain = at::matmul(cross, at::linalg_inv(covariance));
  return {log_normal(target, mean, covariance) - value.log().sum().item<double>(),
          law.mean.back() + at::mv(gain, target - mean),
          law.cross.back().back() - at::matmul(gain, cross.t())};
}

TEST(Evidence, McgdiffEstimatesTheDiscretisedOneWithoutBias) {
  const Correlated c;
  const Problem p = c.problem(0.3);
  const auto estimate = [&](McgdiffOptions options) {
    options.smc.particles = 50;
    options.smc.chains = 400;
    return posterior_sampler(options, schedule(12), {.dtype = at::kDouble})
        ->sample(p, 50 * 400, Noise(5), {})
        .run.particles->log_evidence.flatten();
  };
  for (const double eta : {0.6, 1.0}) {
    const Tensor log_ratio = estimate({.eta = eta}) - mcgdiff_law(c, schedule(12), 0.3, eta).log_evidence;
    EXPECT_LT(std::abs(z_of_one(log_ratio)), 4) << eta;  // P = 6e-5
    EXPECT_LT(log_ratio.std().item<double>(), 1) << eta;
    // Wrong twin: the Jacobian of the singular values left out
    EXPECT_GT(std::abs(z_of_one(log_ratio + std::log(0.4))), 4) << eta;
  }
  // The same for any scheme, and when resampling waits for the weights to degenerate
  const double exact = mcgdiff_law(c, schedule(12), 0.3, 1).log_evidence;
  for (const auto scheme : {Resampling::multinomial, Resampling::stratified, Resampling::residual}) {
    const Tensor log_ratio = estimate({.smc = {.resampling = scheme, .ess_threshold = 0.5}}) - exact;
    EXPECT_LT(std::abs(z_of_one(log_ratio)), 4) << static_cast<int>(scheme);
  }
}

// The error of the evidence falls as 1 / sqrt(N).
TEST(Evidence, ErrorFallsWithTheRootOfTheParticles) {
  const Correlated c;
  const Problem p = c.problem(0.3);
  std::vector<double> spread;
  for (const int64_t n : {32, 512}) {
    McgdiffOptions options;
    options.smc.particles = n;
    options.smc.chains = 150;
    const Draws draws =
        posterior_sampler(options, schedule(12), {.dtype = at::kDouble})->sample(p, 150 * n, Noise(7), {});
    spread.push_back(draws.run.particles->log_evidence.std().item<double>());
  }
  // A ratio of 4 is expected; of two standard deviations from 150 each its logarithm has standard error
  // 0.082.
  EXPECT_NEAR(std::log(spread[0] / spread[1]), std::log(4.0), 4 * 0.082);
}

// All particles of many chains, weighted by their chains' evidence, against the law that the discretised walk
// has given y. The error of each moment comes from the spread over independent batches of chains.
TEST(Particles, HaveThePosteriorOfTheDiscretisedWalk) {
  const Correlated c;
  const Problem p = c.problem(0.3);
  const int64_t chains = 64, n = 256, batches = 8;
  const auto check = [&](const Draws& draws, const Tensor& mean, const Tensor& covariance, bool right) {
    const Tensor x = draws.x.view({batches, -1, 3}), w = at::softmax(draws.log_weight.view({batches, -1}), 1);
    const Tensor r = x - mean;
    const Tensor first = (w.unsqueeze(2) * r).sum(1), second = (w.unsqueeze(2) * r.square()).sum(1);
    const auto z_of = [&](const Tensor& estimate) {  // Student's t with 7 degrees of freedom
      return (estimate.mean(0) / (estimate.std(0) / std::sqrt(static_cast<double>(batches))))
          .abs()
          .max()
          .item<double>();
    };
    const double z = std::max(z_of(first), z_of(second - covariance.diagonal()));
    if (right)
      EXPECT_LT(z, 7);  // P < 3e-4 for each of six
    else
      EXPECT_GT(z, 7);
  };
  const auto run = [&](auto options) {
    options.smc.particles = n;
    options.smc.chains = chains;
    return posterior_sampler(options, schedule(12), {.dtype = at::kDouble})
        ->sample(p, chains * n, Noise(8), {});
  };
  const McgdiffLaw mcgdiff = mcgdiff_law(c, schedule(12), 0.3, 1);
  const Draws draws = run(McgdiffOptions{});
  check(draws, mcgdiff.mean, mcgdiff.covariance, true);
  // TDS weighs the end of the walk by the likelihood itself.
  const double* s = schedule(12).sigma.data_ptr<double>();
  const Walk law = walk_law(*c.prior, {s, s + 13}, schedule(12).initial_std, 1);
  const GaussianPosterior exact(GaussianPrior::full(law.mean.back(), law.cross.back().back()), c.matrix, 0.3);
  check(run(TdsOptions{}), exact.mean(p.y)[0], exact.covariance(), true);
  // Wrong twins: each held against the other's law, and without the measurement
  check(draws, exact.mean(p.y)[0], exact.covariance(), false);
  check(draws, law.mean.back(), law.cross.back().back(), false);
}

TEST(Particles, NoiselessMeasurementsHoldExactly) {
  const Correlated c;
  const Problem p = c.problem(0);
  McgdiffOptions options{.eta = 0.8};
  options.smc.particles = 300;
  options.smc.chains = 20;
  const Draws draws =
      posterior_sampler(options, schedule(40), {.dtype = at::kDouble})->sample(p, 6000, Noise(9), {});
  const Tensor x = draws.x.select(1, 0);
  EXPECT_LT(max_difference(at::matmul(x, c.matrix.t()), p.y.expand({6000, 2})), 1e-9);
  const auto exact = c.prior->condition(c.matrix, 0);
  const Tensor w = at::softmax(draws.log_weight.select(1, 0), 0).unsqueeze(1);
  const Tensor hidden = (w * x).sum(0) - exact->mean(p.y)[0];
  EXPECT_LT(hidden.norm().item<double>(), 0.08);
}

// Without noise the path that FPS filters along pins the measured coordinates, and on average over chains the
// rest is right; with noise it reuses the same y at every level and its draws are too narrow, as its header
// says.
TEST(Particles, FpsIsRightWithoutNoiseAndTooNarrowWithIt) {
  const Correlated c;
  const int64_t chains = 200, n = 100;
  FpsOptions options;
  options.smc.particles = n;
  options.smc.chains = chains;
  const auto run = [&](double noise_std) {
    return posterior_sampler(options, schedule(80), {.dtype = at::kDouble})
        ->sample(c.problem(noise_std), chains * n, Noise(13), {});
  };
  const Draws noiseless = run(0);
  EXPECT_FALSE(noiseless.log_evidence);
  const Problem p = c.problem(0);
  EXPECT_LT(max_difference(at::matmul(noiseless.x.select(1, 0), c.matrix.t()), p.y.expand({chains * n, 2})),
            1e-9);
  const GaussianPosterior exact(*c.prior, c.matrix, 0);
  const Tensor w = noiseless.log_weight.select(1, 0).exp().view({chains, n, 1});  // sums to 1 in each chain
  const Tensor of_chain = (w * noiseless.x.select(1, 0).view({chains, n, 3})).sum(1);
  const Tensor error = of_chain.std(0) / std::sqrt(static_cast<double>(chains));
  EXPECT_LT(((of_chain.mean(0) - exact.mean(p.y)[0]) / error).abs().max().item<double>(), 4.5);
  // Wrong twin: the prior's mean
  EXPECT_GT(((of_chain.mean(0) - c.prior->flat_mean()) / error).abs().max().item<double>(), 10);

  const Draws noisy = run(0.3);
  const GaussianPosterior posterior(*c.prior, c.matrix, 0.3);
  const Tensor along = at::matmul(noisy.x.select(1, 0), c.matrix.t());
  const Tensor truth = at::matmul(at::matmul(c.matrix, posterior.covariance()), c.matrix.t()).diagonal();
  EXPECT_LT((along.var(0) / truth).max().item<double>(), 0.7);
}

// p(x) p(y | x)^gamma of N(0, 1) and y = x + r n, with posterior variance v = r^2 / (1 + r^2): variance
// v / (gamma + (1 - gamma) v), mean gamma v y / (r^2 (gamma + (1 - gamma) v)); classifier-free guidance gives
// v^gamma.
TEST(Particles, TdsSamplesTheTilt) {
  const auto prior = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({1}, at::kDouble), at::ones({1}, at::kDouble)));
  Problem p{prior, GaussianLikelihood(make_identity({1}), 1), at::ones({1, 1}, at::kDouble)};
  const double* s = schedule(50).sigma.data_ptr<double>();
  double prior_variance = std::pow(schedule(50).initial_std, 2);  // of the discretised walk
  for (int64_t k = 0; k < 50; ++k) {
    const double t2 = s[k] * s[k], s2 = s[k + 1] * s[k + 1], c2 = s2 / t2 * (t2 - s2), a = s2 / t2;
    prior_variance = prior_variance * std::pow(a + (1 - a) / (1 + t2), 2) + c2;
  }
  for (const double gamma : {1.0, 3.0}) {
    TdsOptions options{.gamma = gamma};
    options.smc.particles = 1000;
    options.smc.chains = 20;
    const Draws draws =
        posterior_sampler(options, schedule(50), {.dtype = at::kDouble})->sample(p, 20'000, Noise(10), {});
    const Tensor w = at::softmax(draws.log_weight.flatten(), 0), x = draws.x.flatten();
    const double mean = (w * x).sum().item<double>();
    const double variance = (w * (x - mean).square()).sum().item<double>();
    const double tilt = 1 / (1 / prior_variance + gamma);
    // 20,000 particles of 20 chains, worth a quarter of that many draws at the least
    EXPECT_NEAR((mean - gamma * tilt) / std::sqrt(tilt), 0, 4 / std::sqrt(5000.0)) << gamma;
    EXPECT_NEAR(variance / tilt, 1, 4 * std::sqrt(2 / 5000.0)) << gamma;
    if (gamma == 3) EXPECT_GT(std::abs(variance / std::pow(0.5, gamma) - 1), 0.5);
  }
}

TEST(Particles, BitsDoNotDependOnThreadsOrMemory) {
  const Correlated c;
  const Problem p = c.problem(0.3, 3);
  McgdiffOptions options;
  options.smc.particles = 2500;  // three slices
  options.smc.chains = 4;
  const auto run = [&](DrawOptions draw) {
    return posterior_sampler(options, schedule(8), draw)->sample(p, 10000, Noise(11), {});
  };
  // The last: room for one chain at a time, whose slices then share the threads
  const Draws one = run({.threads = 1}), two = run({.threads = 2}),
              tight = run({.threads = 2, .memory = 820'000});
  EXPECT_TRUE(one.x.equal(two.x) && one.log_weight.equal(two.log_weight));
  EXPECT_TRUE(one.x.equal(tight.x) && one.log_weight.equal(tight.log_weight));
  expect_error([&] { run({.memory = 1000}); }, {"--memory", "1000 bytes", "2500 particles"});
}

TEST(Particles, GenealogyIsKept) {
  const Correlated c;
  McgdiffOptions options;
  options.smc.particles = 64;
  options.smc.ancestors = true;
  const Draws draws = posterior_sampler(options, schedule(8), {.dtype = at::kDouble})
                          ->sample(c.problem(0.3), 64, Noise(12), {});
  const ParticleRecord& record = *draws.run.particles;
  Tensor first = at::arange(64, at::kLong);
  for (int64_t k = 0; k < record.ancestors.size(0); ++k)
    first = first.index_select(0, record.ancestors[k][0][0].to(at::kLong));
  EXPECT_EQ(std::get<0>(at::_unique(first)).numel(), record.unique_ancestors[0][0].item<int64_t>());
  EXPECT_LE(record.ess.max().item<double>(), 64 * (1 + 1e-9));
  EXPECT_GE(record.ess.min().item<double>(), 1);
}

TEST(Particles, BadInputIsRefusedAndHopelessWeightsAreReported) {
  const Correlated c;
  const auto run = [&](McgdiffOptions options, int64_t draws, const Problem& p) {
    return posterior_sampler(options, schedule(8), {.dtype = at::kDouble})->sample(p, draws, Noise(1), {});
  };
  McgdiffOptions none;
  none.smc.particles = 0;
  expect_error([&] { run(none, 10, c.problem(0.3)); }, {"method.particles", "0"});
  McgdiffOptions few;
  few.smc.particles = 5;
  few.smc.chains = 1;
  expect_error([&] { run(few, 10, c.problem(0.3)); }, {"method.draws", "10", "1 chains of 5 particles"});
  expect_error([&] { run({.eta = 0}, 10, c.problem(0.3)); }, {"method.eta", "0"});
  Problem nan = c.problem(0.3);
  nan.y[0][0] = NAN;
  expect_error([&] { run({}, 10, nan); }, {"measurement.y"});
  expect_error(
      [&] { posterior_sampler(TdsOptions{}, schedule(8), {})->sample(c.problem(0), 10, Noise(1), {}); },
      {"measurement.noise.std", "tds", "mcgdiff"});
  // A measurement so far off that every weight underflows, float64 logarithms or not
  Problem far = c.problem(0.3);
  far.y.fill_(1e200);
  const Draws lost = run({}, 10, far);
  ASSERT_EQ(lost.run.warnings.size(), 1);
  EXPECT_THAT(lost.run.warnings[0], testing::HasSubstr("every weight was zero"));
  EXPECT_TRUE(lost.log_weight.eq(-INFINITY).all().item<bool>());
  // A method without evidence says so too, and has no weights that are not numbers.
  const Draws filtered =
      posterior_sampler(FpsOptions{}, schedule(8), {.dtype = at::kDouble})->sample(far, 10, Noise(1), {});
  ASSERT_EQ(filtered.run.warnings.size(), 1);
  EXPECT_TRUE(filtered.log_weight.eq(-INFINITY).all().item<bool>());
}

}  // namespace
}  // namespace tweedie
