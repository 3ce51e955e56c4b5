// Mixtures and finite data sets against finite differences, against each other, and against integration.

#include "tweedie/empirical_prior.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/mixture_prior.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t d = 4, count = 3;

Tensor some_weights() {
  return at::tensor({0.5, 0.2, 0.3}, at::kDouble);
}
Tensor some_means() {
  return 2 * normal({count, d}, 1);
}
Tensor some_covariances() {
  return at::stack({random_covariance(d, 2), 0.3 * random_covariance(d, 3), 2 * random_covariance(d, 4)});
}
Tensor some_factors() {
  return normal({count, d, 2}, 5);
}
Tensor some_matrix() {
  return normal({2, d}, 6);
}

MixturePrior mixture_of(const std::string& kind) {
  if (kind == "isotropic")
    return MixturePrior::isotropic(some_weights(), some_means(), at::tensor({0.4, 1.0, 0.7}, at::kDouble));
  if (kind == "diagonal")
    return MixturePrior::diagonal(some_weights(), some_means(), normal({count, d}, 7).square() + 0.1);
  if (kind == "low-rank")
    return MixturePrior::low_rank(some_weights(), some_means(), some_factors(),
                                  at::tensor({0.05, 0.2, 0.1}, at::kDouble));
  return MixturePrior::full(some_weights(), some_means(), some_covariances());
}

std::shared_ptr<const AnalyticPrior> prior_of(const std::string& kind) {
  if (kind == "empirical") return std::make_shared<EmpiricalPrior>(normal({20, d}, 8));
  if (kind == "weighted-empirical")
    return std::make_shared<EmpiricalPrior>(normal({3, d}, 8), some_weights());
  if (kind == "gaussian")
    return std::make_shared<GaussianPrior>(GaussianPrior::full(normal({d}, 9), random_covariance(d, 10)));
  return std::make_shared<MixturePrior>(mixture_of(kind));
}

// Central differences of a function of rows, (B, d) -> (B): the gradient (B, d)
template <class Function>
Tensor gradient_of(Function f, const Tensor& x) {
  constexpr double h = 1e-5;
  Tensor result = at::empty_like(x);
  for (int64_t j = 0; j < x.size(1); ++j) {
    Tensor step = at::zeros_like(x);
    step.select(1, j).fill_(h);
    result.select(1, j).copy_((f(x + step) - f(x - step)) / (2 * h));
  }
  return result;
}

class Analytic : public testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<const AnalyticPrior> prior = prior_of(GetParam());
  Tensor x = 2 * normal({6, d}, 11);
};

TEST_P(Analytic, ScoreIsTheGradientOfTheLogDensity) {
  for (const double sigma : {0.1, 1.0, 30.0}) {
    const Tensor score = (prior->mean(x, sigma) - x) / (sigma * sigma);
    const Tensor numeric = gradient_of([&](const Tensor& at) { return prior->log_prob(at, sigma); }, x);
    EXPECT_LT(max_difference(score, numeric), 1e-5 * (1 + score.abs().max().item<double>())) << sigma;
  }
}

TEST_P(Analytic, VjpIsTheDerivativeOfTheMean) {
  const Tensor v = normal({6, d}, 12);
  for (const double sigma : {0.1, 1.0, 30.0}) {
    const Linearised at_x = linearise(*prior, x, sigma);
    EXPECT_LT(max_difference(at_x.mean, prior->mean(x, sigma)), 1e-10);
    const Tensor numeric =
        gradient_of([&](const Tensor& at) { return (prior->mean(at, sigma) * v).sum(1); }, x);
    EXPECT_LT(max_difference(at_x.vjp(v), numeric), 1e-5 * (1 + numeric.abs().max().item<double>())) << sigma;
  }
}

TEST_P(Analytic, EachRowHasItsOwnLevel) {
  const Tensor sigma = at::tensor({0.1, 0.5, 1.0, 2.0, 5.0, 40.0}, at::kDouble);
  const Tensor together = prior->mean(x, sigma);
  for (int64_t i = 0; i < 6; ++i)
    EXPECT_LT(max_difference(together[i], prior->mean(x.slice(0, i, i + 1), sigma[i].item<double>())[0]),
              1e-10);
}

TEST_P(Analytic, Float32AgreesWithFloat64) {
  for (const double sigma : {0.3, 2.0}) {
    const Tensor wide = prior->mean(x, sigma), narrow = prior->mean(x.to(at::kFloat), sigma);
    EXPECT_EQ(narrow.scalar_type(), at::kFloat);
    EXPECT_LT(max_difference(wide, narrow), 1e-4) << sigma;
  }
}

// p(x_0 | x_sigma, y) of the posterior as a prior is the prior's D moved by the gradient of log p(y |
// x_sigma).
TEST_P(Analytic, OracleIsTheGradientOfTheExactLikelihood) {
  const double noise_std = 0.5, sigma = 0.8;
  const auto posterior = prior->condition(some_matrix(), noise_std);
  const Tensor y = normal({2}, 13);
  const auto conditioned = posterior->given(y);
  // log p(x_sigma | y) = log p(x_sigma) + log p(y | x_sigma) - log p(y)
  const auto log_likelihood = [&](const Tensor& at) {
    return conditioned->log_prob(at, sigma) - prior->log_prob(at, sigma);
  };
  const Tensor gradient = gradient_of(log_likelihood, x);
  EXPECT_LT(max_difference(conditioned->mean(x, sigma), prior->mean(x, sigma) + sigma * sigma * gradient),
            1e-6);
  // As sigma grows D becomes the posterior mean.
  EXPECT_LT(max_difference(conditioned->mean(x, 1e6)[0], posterior->mean(y.unsqueeze(0))[0]), 1e-4);
}

// Bayes: p(x | y) p(y) = p(x) p(y | x), tested through densities of x_sigma at a tiny sigma.
TEST_P(Analytic, EvidenceIsWhatNormalisesThePosterior) {
  if (GetParam().find("empirical") != std::string::npos) return;  // no density; see EmpiricalEvidence
  const double noise_std = 0.5;
  const auto posterior = prior->condition(some_matrix(), noise_std);
  const Tensor y = normal({2}, 13), residual = y - at::matmul(x, some_matrix().t());
  const Tensor log_likelihood =
      -0.5 * residual.square().sum(1) / (noise_std * noise_std) - std::log(2 * M_PI * noise_std * noise_std);
  const Tensor log_evidence = prior->log_prob(x) + log_likelihood - posterior->given(y)->log_prob(x);
  EXPECT_LT(max_difference(log_evidence, posterior->log_evidence(y.unsqueeze(0)).expand({6})), 1e-6);
}

INSTANTIATE_TEST_SUITE_P(Priors, Analytic,
                         testing::Values("gaussian", "isotropic", "diagonal", "full", "low-rank", "empirical",
                                         "weighted-empirical"),
                         [](const auto& param) {
                           std::string name = param.param;
                           name.erase(std::remove(name.begin(), name.end(), '-'), name.end());
                           return name;
                         });

// In float32 a level's matrices are made once, in one of two forms by the size of sigma: both, over more rows
// than go together, with a component of weight 0 and a covariance that is singular; at small sigma, where
// such a matrix would be too uneven, axes take its place.
TEST(Mixture, FullCovariancesInFloat32) {
  constexpr int64_t dimension = 21, rows = 70;
  const Tensor covariances =
      at::stack({random_covariance(dimension, 2), 0.1 * random_covariance(dimension, 3),
                 at::matmul(normal({dimension, 4}, 4), normal({dimension, 4}, 4).t())});
  const Tensor means = 3 * normal({count, dimension}, 1), x = 4 * normal({rows, dimension}, 5);
  const Tensor weights = at::tensor({0.0, 0.3, 0.7}, at::kDouble);
  const MixturePrior prior = MixturePrior::full(weights, means, covariances);
  const double largest = at::linalg_eigvalsh(covariances).max().item<double>();
  for (const double sigma : {0.002, 0.05, 0.3, 0.99 * std::sqrt(largest), 1.01 * std::sqrt(largest), 300.0}) {
    const Tensor at_level = sigma > 100 ? sigma * x : x, narrow = at_level.to(at::kFloat);
    const Tensor mean = prior.mean(narrow, sigma), wide = prior.mean(at_level, sigma);
    // Rounding x alone changes D by as much.
    const double allowed = 64 * 0x1p-24 * std::max(at_level.abs().max().item<double>(), 1.0);
    EXPECT_LT(max_difference(mean, wide), allowed) << sigma;
    EXPECT_GT(max_difference(mean, wide), 0) << sigma;
    if (sigma < 0.1) continue;  // too uneven: along the axes
    EXPECT_GT(max_difference(mean, prior.mean(at_level, 1.01 * sigma)), allowed) << sigma;
    EXPECT_TRUE(at::equal(prior.mean(narrow.slice(0, 67, 68), sigma), mean.slice(0, 67, 68))) << sigma;
  }
}

TEST(Mixture, FormsOfOneCovarianceAgree) {
  const Tensor x = normal({5, d}, 20), std = at::tensor({0.4, 1.0, 0.7}, at::kDouble);
  const MixturePrior isotropic = MixturePrior::isotropic(some_weights(), some_means(), std);
  const Tensor variance = std.square().unsqueeze(1).expand({count, d});
  const MixturePrior diagonal = MixturePrior::diagonal(some_weights(), some_means(), variance);
  const MixturePrior full = MixturePrior::full(some_weights(), some_means(), variance.diag_embed());
  const MixturePrior low_rank = MixturePrior::low_rank(some_weights(), some_means(), some_factors(), std);
  const MixturePrior low_rank_full = MixturePrior::full(some_weights(), some_means(), low_rank.covariances());
  EXPECT_LT(max_difference(isotropic.mean(x, 0.5), diagonal.mean(x, 0.5)), 1e-12);
  EXPECT_LT(max_difference(isotropic.mean(x, 0.5), full.mean(x, 0.5)), 1e-12);
  EXPECT_LT(max_difference(low_rank.mean(x, 0.5), low_rank_full.mean(x, 0.5)), 1e-11);
  EXPECT_LT(
      max_difference(low_rank.covariances(), at::matmul(some_factors(), some_factors().transpose(1, 2)) +
                                                 (std).reshape({count, 1, 1}) * at::eye(d, at::kDouble)),
      1e-12);
}

TEST(Mixture, OneComponentIsAGaussian) {
  const Tensor covariance = random_covariance(d, 2), mean = normal({d}, 3), x = normal({5, d}, 4);
  const auto mixture =
      MixturePrior::full(at::ones({1}, at::kDouble), mean.unsqueeze(0), covariance.unsqueeze(0));
  const auto gaussian = GaussianPrior::full(mean, covariance);
  EXPECT_LT(max_difference(mixture.mean(x, 0.7), gaussian.mean(x, 0.7)), 1e-12);
  EXPECT_LT(max_difference(mixture.log_prob(x, 0.7), gaussian.log_prob(x, 0.7)), 1e-12);
}

// Fields as in the seeds' examples 7.5 and 7.6: components are planes, with no width at all.
TEST(Mixture, SingularComponentsHaveNoDensityButADenoiser) {
  const auto planes =
      MixturePrior::low_rank(some_weights(), some_means(), some_factors(), at::zeros({}, at::kDouble));
  expect_error([&] { planes.log_prob(normal({2, d}, 1)); }, {"singular"});
  const Tensor x = normal({5, d}, 2);
  EXPECT_TRUE(planes.mean(x, 1e-3).isfinite().all().item<bool>());
  // Close to the data the denoiser projects onto the nearest plane.
  const Tensor on_plane = some_means()[1] + at::matmul(normal({5, 2}, 3), some_factors()[1].t());
  EXPECT_LT(max_difference(planes.mean(on_plane, 1e-4), on_plane), 1e-6);
}

// Mean and covariance of n draws: each entry's error over its standard deviation, as chi-square-like maximum.
TEST(Mixture, DrawsHaveItsMoments) {
  const int64_t n = 40'000;
  for (const auto* kind : {"isotropic", "diagonal", "full", "low-rank"}) {
    const MixturePrior prior = mixture_of(kind);
    Noise noise(21);
    const Tensor x = prior.sample(n, noise);
    const Tensor w = prior.weights(), mean = at::matmul(w, prior.means());
    const Tensor apart = prior.means() - mean;
    const Tensor covariance =
        at::tensordot(w, prior.covariances(), {0}, {0}) + at::matmul((apart * w.unsqueeze(1)).t(), apart);
    const Tensor z = (x.mean(0) - mean) / (covariance.diagonal() / n).sqrt();
    EXPECT_LT(z.abs().max().item<double>(), 4) << kind;  // P < 3e-4 with 4 coordinates
    const Tensor r = x - mean, product = r.unsqueeze(2) * r.unsqueeze(1);
    const Tensor error = product.var(0) / n;
    const Tensor z2 = (product.mean(0) - covariance) / error.sqrt();
    EXPECT_LT(z2.abs().max().item<double>(), 4.5) << kind;
    // A wrong twin: components chosen with equal weights
    const Tensor wrong = prior.means().mean(0);
    EXPECT_GT(((x.mean(0) - wrong) / (covariance.diagonal() / n).sqrt()).abs().max().item<double>(), 10)
        << kind;
  }
}

TEST(Mixture, PosteriorDrawsHaveThePosteriorMean) {
  const int64_t n = 40'000;
  for (const auto* kind : {"isotropic", "full", "low-rank"}) {
    const MixturePrior prior = mixture_of(kind);
    const auto posterior = prior.condition(some_matrix(), 0.3);
    Noise noise(22);
    const Tensor y = normal({2}, 23), x = posterior->sample(y, n, noise);
    const Tensor z = (x.mean(0) - posterior->mean(y.unsqueeze(0))[0]) / (x.var(0) / n).sqrt();
    EXPECT_LT(z.abs().max().item<double>(), 4) << kind;
  }
}

TEST(Mixture, BadInputIsRefusedByName) {
  const Tensor w = some_weights(), m = some_means();
  expect_error([&] { MixturePrior::isotropic(0.9 * w, m, at::ones({}, at::kDouble)); },
               {"prior.weights", "0.9", "1"});
  expect_error(
      [&] {
        MixturePrior::isotropic(at::tensor({1.5, -0.5, 0.0}, at::kDouble), m, at::ones({}, at::kDouble));
      },
      {"prior.weights", "-0.5"});
  expect_error([&] { MixturePrior::isotropic(w.slice(0, 0, 2), m, at::ones({}, at::kDouble)); },
               {"prior.weights", "(2,)", "3 components"});
  expect_error([&] { MixturePrior::isotropic(w, m, -at::ones({}, at::kDouble)); }, {"prior.std", "-1"});
  expect_error([&] { MixturePrior::full(w, m, -some_covariances()); },
               {"prior.covariances", "component 0", "smallest eigenvalue"});
  expect_error([&] { MixturePrior::full(w, m, some_covariances().slice(1, 0, 2)); },
               {"prior.covariances", "(3, 4, 4)"});
  expect_error(
      [&] {
        MixturePrior::low_rank(w, m, normal({3, 4, 5}, 1), at::ones({}, at::kDouble));
      },
      {"prior.factors", "rank of 1 to 4"});
  Tensor bad = m.clone();
  bad[1][2] = NAN;
  expect_error([&] { MixturePrior::isotropic(w, bad, at::ones({}, at::kDouble)); }, {"prior.means"});
}

TEST(Empirical, EvidenceIsTheMeanLikelihood) {
  const Tensor data = normal({20, d}, 8), y = normal({2}, 13);
  const auto posterior = EmpiricalPrior(data).condition(some_matrix(), 0.5);
  const Tensor residual = y - at::matmul(data, some_matrix().t());
  const double evidence = ((-2 * residual.square().sum(1)).exp() / (2 * M_PI * 0.25)).mean().item<double>();
  EXPECT_NEAR(posterior->log_evidence(y.unsqueeze(0))[0].item<double>(), std::log(evidence), 1e-12);
}

TEST(Empirical, IsTheMixtureWithoutWidth) {
  const Tensor data = some_means(), x = normal({5, d}, 4);
  const EmpiricalPrior empirical(data, some_weights());
  const auto mixture = MixturePrior::isotropic(some_weights(), data, at::zeros({}, at::kDouble));
  EXPECT_LT(max_difference(empirical.mean(x, 0.7), mixture.mean(x, 0.7)), 1e-12);
  EXPECT_LT(max_difference(empirical.log_prob(x, 0.7), mixture.log_prob(x, 0.7)), 1e-11);
  expect_error([&] { empirical.log_prob(x, 0); }, {"no density"});
}

}  // namespace
}  // namespace tweedie
