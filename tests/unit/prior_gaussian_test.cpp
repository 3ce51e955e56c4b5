#include "tweedie/gaussian_prior.h"

#include "check_tensor.h"

#include <cmath>
#include <limits>
#include <thread>

namespace tweedie {
namespace {

constexpr int64_t d = 6;
const Shape shape{2, 3};

GaussianPrior full_prior() {
  return GaussianPrior::full(normal(shape, 1), random_covariance(d, 2));
}

GaussianPrior low_rank_prior() {
  return GaussianPrior::low_rank(normal(shape, 1), normal({d, 2}, 3), at::tensor({2.0, 0.5}, at::kDouble),
                                 0.3);
}

// log N(x; m, C) by the definition
Tensor log_normal(const Tensor& x, const Tensor& m, const Tensor& c) {
  const Tensor r = x - m;
  return -0.5 *
         ((r * at::matmul(r, at::linalg_inv(c))).sum(1) + at::logdet(c) + m.numel() * std::log(2 * M_PI));
}

struct PriorCase {
  std::string name;
  GaussianPrior (*make)();
};

class EveryGaussian : public testing::TestWithParam<PriorCase> {};

TEST_P(EveryGaussian, MeanIsTheFormula) {
  const GaussianPrior prior = GetParam().make();
  const Tensor x = normal({4, 2, 3}, 5), m = prior.flat_mean(), eye = at::eye(d, at::kDouble);
  for (const double sigma : {0.01, 1.0, 80.0}) {
    const Tensor gain =
        at::matmul(prior.covariance(), at::linalg_inv(prior.covariance() + sigma * sigma * eye));
    const Tensor expected = m + at::matmul(x.flatten(1) - m, gain.t());
    EXPECT_LT(max_difference(prior.mean(x, sigma).flatten(1), expected), 1e-12);
    EXPECT_LT(max_difference(prior.mean(x.to(at::kFloat), sigma).flatten(1), expected), 1e-5);
  }
}

// Tweedie's formula, D = x + sigma^2 grad log p_sigma(x), by central differences of the log density
TEST_P(EveryGaussian, MeanIsTweediesOfTheLogDensity) {
  const GaussianPrior prior = GetParam().make();
  const Tensor x = normal({1, 2, 3}, 6);
  const double sigma = 0.7, h = 1e-4;
  const Tensor steps = h * at::eye(d, at::kDouble).reshape({d, 2, 3});
  const Tensor score = (prior.log_prob(x + steps, sigma) - prior.log_prob(x - steps, sigma)) / (2 * h);
  EXPECT_LT(max_difference(prior.mean(x, sigma).flatten(), x.flatten() + sigma * sigma * score), 1e-7);
}

TEST_P(EveryGaussian, VjpIsTheDerivative) {
  const GaussianPrior prior = GetParam().make();
  const Tensor x = normal({3, 2, 3}, 7), v = normal({3, 2, 3}, 8), w = normal({3, 2, 3}, 9);
  const Tensor sigma = at::tensor({0.2, 1.0, 3.0}, at::kDouble);
  const Linearised at_x = linearise(prior, x, sigma);
  EXPECT_EQ(max_difference(at_x.mean, prior.mean(x, sigma)), 0);
  const double h = 1e-4;
  const Tensor jvp = (prior.mean(x + h * w, sigma) - prior.mean(x - h * w, sigma)) / (2 * h);
  EXPECT_LT(max_difference((at_x.vjp(v) * w).flatten(1).sum(1), (v * jvp).flatten(1).sum(1)), 1e-8);
}

// V = sigma^2 dD/dx is the posterior covariance (Sigma^{-1} + I / sigma^2)^{-1}
TEST_P(EveryGaussian, VjpGivesThePosteriorCovariance) {
  const GaussianPrior prior = GetParam().make();
  const double sigma = 0.6;
  const Tensor eye = at::eye(d, at::kDouble);
  const Tensor v = sigma * sigma * linearise(prior, normal({d, 2, 3}, 7), sigma).vjp(eye.reshape({d, 2, 3}));
  const Tensor expected = at::linalg_inv(at::linalg_inv(prior.covariance()) + eye / (sigma * sigma));
  EXPECT_LT(max_difference(v.flatten(1), expected), 1e-12);
}

TEST_P(EveryGaussian, LogProbIsTheFormula) {
  const GaussianPrior prior = GetParam().make();
  const Tensor x = normal({5, 2, 3}, 10), eye = at::eye(d, at::kDouble);
  for (const double sigma : {0.0, 2.0}) {
    const Tensor expected =
        log_normal(x.flatten(1), prior.flat_mean(), prior.covariance() + sigma * sigma * eye);
    EXPECT_LT(max_difference(prior.log_prob(x, sigma), expected), 1e-10);
  }
}

// (x - m)^T Sigma^{-1} (x - m) of a draw is chi^2 with d degrees: mean d, variance 2 d.
double whitened_z(const GaussianPrior& prior, const Tensor& x) {
  const Tensor r = x.flatten(1) - prior.flat_mean();
  const Tensor chi2 = (r * at::matmul(r, at::linalg_inv(prior.covariance()))).sum(1);
  return (chi2.mean().item<double>() - d) / std::sqrt(2.0 * d / x.size(0));
}

// Largest z of a second moment: entry (i, j) has variance (C_ii C_jj + C_ij^2) / n.
double covariance_z(const GaussianPrior& prior, const Tensor& x) {
  const Tensor r = x.flatten(1) - prior.flat_mean(), c = prior.covariance(), s = c.diagonal();
  const Tensor error = ((at::outer(s, s) + c * c) / x.size(0)).sqrt();
  return ((at::matmul(r.t(), r) / x.size(0) - c) / error).abs().max().item<double>();
}

TEST_P(EveryGaussian, DrawsHaveItsMoments) {
  const GaussianPrior prior = GetParam().make();
  const int64_t n = 20000;
  Noise noise(11);
  const Tensor x = prior.sample(n, noise);
  const Tensor mean_error = (prior.covariance().diagonal() / n).sqrt();
  const double mean_z = ((x.flatten(1).mean(0) - prior.flat_mean()) / mean_error).abs().max().item<double>();
  EXPECT_LT(mean_z, 4.5);
  EXPECT_LT(std::abs(whitened_z(prior, x)), 4.5);
  EXPECT_LT(covariance_z(prior, x), 4.5);

  // Sigma in place of its root must be rejected.
  Noise again(11);
  const Tensor wrong = prior.flat_mean() + prior.covariance_times(again.normal({n, d}, at::kDouble));
  EXPECT_GT(covariance_z(prior, wrong), 10);
}

TEST_P(EveryGaussian, SameFromTwoThreads) {
  const GaussianPrior prior = GetParam().make();
  const Tensor x = normal({8, 2, 3}, 12), v = normal({8, 2, 3}, 13);
  const Tensor expected = linearise(prior, x, 0.5).vjp(v);
  Tensor result[2];
  std::thread other([&] { result[0] = linearise(prior, x, 0.5).vjp(v); });
  result[1] = linearise(prior, x, 0.5).vjp(v);
  other.join();
  EXPECT_TRUE(at::equal(result[0], expected));
  EXPECT_TRUE(at::equal(result[1], expected));
}

INSTANTIATE_TEST_SUITE_P(Prior, EveryGaussian,
                         testing::Values(PriorCase{"Full", full_prior}, PriorCase{"LowRank", low_rank_prior},
                                         PriorCase{"Diagonal",
                                                   [] {
                                                     return GaussianPrior::diagonal(
                                                         normal(shape, 1), normal(shape, 2).square() + 0.1);
                                                   }}),
                         [](const auto& info) { return info.param.name; });

TEST(GaussianPrior, LowRankIsTheFullOneOfItsCovariance) {
  const GaussianPrior low = low_rank_prior();
  const Tensor f = normal({d, 2}, 3), value = at::tensor({2.0, 0.5}, at::kDouble);
  const Tensor dense = at::matmul(f * value, f.t()) + 0.3 * at::eye(d, at::kDouble);
  EXPECT_LT(max_difference(low.covariance(), dense), 1e-13);
  const GaussianPrior full = GaussianPrior::full(normal(shape, 1), dense);
  const Tensor x = normal({4, 2, 3}, 14);
  EXPECT_LT(max_difference(low.mean(x, 0.4), full.mean(x, 0.4)), 1e-12);
  EXPECT_LT(max_difference(low.log_prob(x), full.log_prob(x)), 1e-11);
}

TEST(GaussianPrior, FitIsTheSampleMomentsAndPpca) {
  const Tensor data = normal({50, 2, 3}, 15) * at::tensor({1.0, 2.0, 3.0}, at::kDouble) + 5;
  const Tensor centred = data.flatten(1) - data.flatten(1).mean(0);
  const Tensor covariance = at::matmul(centred.t(), centred) / 50;
  const GaussianPrior full = GaussianPrior::fit(data);
  EXPECT_LT(max_difference(full.flat_mean(), data.flatten(1).mean(0)), 1e-12);
  EXPECT_LT(max_difference(full.covariance(), covariance), 1e-12);
  EXPECT_LT(max_difference(GaussianPrior::fit(data.to(at::kFloat)).covariance(), covariance), 1e-4);

  const auto [value, basis] = at::linalg_eigh(covariance);
  Tensor kept = value.clone();
  kept.slice(0, 0, 4).fill_(value.slice(0, 0, 4).mean());
  const GaussianPrior ppca = GaussianPrior::fit(data, 2);
  EXPECT_LT(max_difference(ppca.covariance(), at::matmul(basis * kept, basis.t())), 1e-12);
  EXPECT_LT(max_difference(GaussianPrior::fit(data, d).covariance(), covariance), 1e-12);
}

// x = u a with a one direction u: the posterior mean stays on the line.
TEST(GaussianPrior, SingularCovarianceIsAllowed) {
  const Tensor u = normal({d, 1}, 16);
  const GaussianPrior prior = GaussianPrior::full(at::zeros(shape, at::kDouble), at::matmul(u, u.t()));
  const Tensor x = normal({1, 2, 3}, 17);
  const double sigma = 0.3, uu = (u * u).sum().item<double>();
  const Tensor expected = at::matmul(at::matmul(x.flatten(1), u), u.t()) / (uu + sigma * sigma);
  EXPECT_LT(max_difference(prior.mean(x, sigma).flatten(1), expected), 1e-12);
  Noise noise(1);
  const Tensor draw = prior.sample(1, noise).flatten(1);
  EXPECT_LT(max_difference(at::matmul(at::matmul(draw, u), u.t()) / uu, draw), 1e-6);
  expect_error([&] { prior.log_prob(x); }, {"prior.covariance", "singular"});
  EXPECT_TRUE(prior.log_prob(x, sigma).isfinite().all().item<bool>());
}

TEST(GaussianPrior, BadInputIsNamed) {
  const Tensor m = at::zeros({2}, at::kDouble), one = at::ones({2}, at::kDouble);
  const auto matrix = [](double a, double b, double c, double e) {
    return at::tensor({a, b, c, e}, at::kDouble).reshape({2, 2});
  };
  expect_error([&] { GaussianPrior::full(m, matrix(1, 2, 2, 1)); },
               {"prior.covariance", "smallest eigenvalue is -1"});
  expect_error([&] { GaussianPrior::full(m, matrix(1, 0, 0.5, 1)); },
               {"prior.covariance", "transpose", "eigenvalue"});
  expect_error([&] { GaussianPrior::full(m, at::eye(3, at::kDouble)); },
               {"prior.covariance", "(3, 3)", "(2, 2)"});
  expect_error([&] { GaussianPrior::full(m, matrix(NAN, 0, 0, 1)); }, {"prior.covariance", "NaN"});
  expect_error([&] { GaussianPrior::full(m.to(at::kLong), matrix(1, 0, 0, 1)); }, {"prior.mean", "Long"});
  expect_error([&] { GaussianPrior::diagonal(m, -one); }, {"prior.variance", "-1"});
  expect_error([&] { GaussianPrior::diagonal(m, at::ones({3}, at::kDouble)); },
               {"prior.variance", "(3,)", "(2,)"});
  expect_error([&] { GaussianPrior::low_rank(m, one, one, 0); }, {"prior.factor", "(2, rank)"});
  expect_error([&] { GaussianPrior::low_rank(m, matrix(1, 0, 0, 1), one, -1); },
               {"prior.residual_variance", "-1"});
  expect_error([&] { GaussianPrior::fit(at::ones({1, 2}, at::kDouble)); }, {"data", "(1, 2)", "2 rows"});
  expect_error([&] { GaussianPrior::fit(at::ones({3, 2}, at::kDouble), 3); }, {"prior.rank", "3", "0 to 2"});
}

TEST(Denoiser, BadInputIsNamed) {
  const GaussianPrior prior = full_prior();
  const Tensor x = normal({4, 2, 3}, 18);
  expect_error([&] { prior.mean(normal({4, 3, 2}, 1), 1.0); }, {"denoiser.x", "(4, 3, 2)", "(2, 3)"});
  expect_error([&] { prior.mean(x.to(at::kHalf), 1.0); }, {"denoiser.x", "Half"});
  expect_error([&] { prior.mean(x, 0.0); }, {"denoiser.sigma", "0"});
  expect_error([&] { prior.mean(x, -2.0); }, {"denoiser.sigma", "-2"});
  expect_error([&] { prior.mean(x, std::numeric_limits<double>::quiet_NaN()); }, {"denoiser.sigma", "nan"});
  expect_error([&] { prior.mean(x, at::ones({3}, at::kDouble)); }, {"denoiser.sigma", "(3,)", "4"});
  expect_error([&] { linearise(prior, x, std::numeric_limits<double>::infinity()); },
               {"denoiser.sigma", "inf"});
  expect_error(
      [&] {
        linearise(prior, x, 1.0).vjp(normal({3, 2, 3}, 1));
      },
      {"vjp.v", "(3, 2, 3)", "(4, 2, 3)"});
}

}  // namespace
}  // namespace tweedie
