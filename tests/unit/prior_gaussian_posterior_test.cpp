#include "prior/gaussian_posterior.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t d = 6, m = 3;
constexpr double noise_std = 0.4;

struct Case {
  GaussianPrior prior = GaussianPrior::full(normal({2, 3}, 1), random_covariance(d, 2));
  Tensor a = normal({m, d}, 3), y = normal({5, m}, 4);
  GaussianPosterior posterior{prior, a, noise_std};
};

// In information form: precision P = Sigma^{-1} + A^T A / s^2, mean P^{-1} (Sigma^{-1} m + A^T y / s^2).
TEST(GaussianPosterior, IsTheInformationForm) {
  const Case c;
  const double s2 = noise_std * noise_std;
  const Tensor inverse = at::linalg_inv(c.prior.covariance());
  const Tensor covariance = at::linalg_inv(inverse + at::matmul(c.a.t(), c.a) / s2);
  const Tensor b = at::matmul(inverse, c.prior.flat_mean()) + at::matmul(c.y, c.a) / s2;
  EXPECT_LT(max_difference(c.posterior.mean(c.y).flatten(1), at::matmul(b, covariance)), 1e-11);
  EXPECT_LT(max_difference(c.posterior.covariance(), covariance), 1e-12);
  EXPECT_LT(max_difference(c.posterior.variance().flatten(), covariance.diagonal()), 1e-12);
}

// Bayes' rule at any x: log p(y) = log p(x) + log p(y | x) - log p(x | y)
TEST(GaussianPosterior, EvidenceIsBayesRule) {
  const Case c;
  const Tensor x = normal({1, 2, 3}, 5);
  const Tensor log_2pi = at::scalar_tensor(std::log(2 * M_PI), at::kDouble);
  const Tensor residual = (c.y - at::matmul(x.flatten(1), c.a.t())) / noise_std;
  const Tensor likelihood = -0.5 * (residual.square().sum(1) + m * (log_2pi + 2 * std::log(noise_std)));
  for (int64_t i = 0; i < c.y.size(0); ++i) {
    const Tensor y = c.y.slice(0, i, i + 1);
    const GaussianPrior law = GaussianPrior::full(c.posterior.mean(y)[0], c.posterior.covariance());
    const Tensor expected = c.prior.log_prob(x) + likelihood[i] - law.log_prob(x);
    EXPECT_LT(max_difference(c.posterior.log_evidence(y), expected), 1e-10);
  }
}

// Largest z of the draws' second moments about the exact mean
double covariance_z(const Tensor& x, const Tensor& mean, const Tensor& c) {
  const Tensor r = x.flatten(1) - mean.flatten(), s = c.diagonal();
  const Tensor error = ((at::outer(s, s) + c * c) / x.size(0)).sqrt();
  return ((at::matmul(r.t(), r) / x.size(0) - c) / error).abs().max().item<double>();
}

TEST(GaussianPosterior, DrawsHaveItsMoments) {
  const Case c;
  const int64_t n = 20000;
  Noise noise(6);
  const Tensor y = c.y[0], x = c.posterior.sample(y, n, noise);
  const Tensor mean = c.posterior.mean(y.reshape({1, m})), covariance = c.posterior.covariance();
  const Tensor error = (covariance.diagonal() / n).sqrt();
  EXPECT_LT(((x.flatten(1).mean(0) - mean.flatten()) / error).abs().max().item<double>(), 4.5);
  EXPECT_LT(covariance_z(x, mean, covariance), 4.5);

  // Without the simulated measurement noise, draws are too narrow along the measured directions.
  Noise again(6);
  const Tensor prior_draw = c.prior.sample(n, again).flatten(1);
  const Tensor k =
      (c.posterior.mean(at::eye(m, at::kDouble)) - c.posterior.mean(at::zeros({m, m}, at::kDouble)));
  const Tensor wrong = prior_draw + at::matmul(y - at::matmul(prior_draw, c.a.t()), k.flatten(1));
  EXPECT_GT(covariance_z(wrong, mean, covariance), 10);
}

TEST(GaussianPosterior, ManyCasesAtOnceEqualOneByOne) {
  const Case c;
  const Tensor all = c.posterior.mean(c.y);
  for (int64_t i = 0; i < c.y.size(0); ++i) {
    EXPECT_LT(max_difference(all[i], c.posterior.mean(c.y.slice(0, i, i + 1))[0]), 1e-14);
  }
}

TEST(GaussianPosterior, NoiselessMeasurementIsMet) {
  const Case c;
  const GaussianPosterior exact(c.prior, c.a, 0);
  EXPECT_LT(max_difference(at::matmul(exact.mean(c.y).flatten(1), c.a.t()), c.y), 1e-11);
  const Tensor twice = at::cat({c.a, c.a});
  expect_error([&] { GaussianPosterior(c.prior, twice, 0); }, {"measurement.noise.std", "singular"});
}

TEST(GaussianPosterior, BadInputIsNamed) {
  const Case c;
  expect_error(
      [&] {
        GaussianPosterior(c.prior, normal({3, 5}, 1), 1);
      },
      {"operator.matrix", "(3, 5)", "(m, 6)"});
  expect_error([&] { GaussianPosterior(c.prior, c.a, -1); }, {"measurement.noise.std", "-1"});
  expect_error([&] { c.posterior.mean(normal({1, 4}, 1)); }, {"y", "(1, 4)", "(3,)"});
}

}  // namespace
}  // namespace tweedie
