#include "tweedie/ppca.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// 5 coordinates about (1, 2, 3, 4, 5) with a random covariance
Tensor rows(int64_t n) {
  const Tensor root = at::linalg_cholesky(random_covariance(5, 1));
  return at::matmul(normal({n, 5}, 2), root.t()) + at::arange(1, 6, at::kDouble);
}

double mean_log_prob(const GaussianPrior& prior, const Tensor& x) {
  return prior.log_prob(x).mean().item<double>();
}

TEST(Ppca, IsTheMaximumOfTheLikelihood) {
  const Tensor x = rows(200);
  for (const int64_t q : {0, 2, 4}) {
    const Ppca fit = fit_ppca(x, q);
    EXPECT_LT(max_difference(fit.mean, x.mean(0)), 1e-12);
    EXPECT_NEAR(fit.log_likelihood, mean_log_prob(fit.prior(), x), 1e-10);
    EXPECT_LT(max_difference(fit.prior().covariance(), GaussianPrior::fit(x, q).covariance()), 1e-12);
    // Any other parameters are less likely.
    Ppca other = fit;
    other.noise_variance *= 1.02;
    EXPECT_LT(mean_log_prob(other.prior(), x), fit.log_likelihood - 1e-5);
    if (q == 0) continue;
    other = fit;
    other.factor = fit.factor + 0.02 * normal(fit.factor.sizes(), 3);
    EXPECT_LT(mean_log_prob(other.prior(), x), fit.log_likelihood - 1e-5);
  }
}

TEST(Ppca, NoiseIsTheMeanOfTheDiscardedEigenvalues) {
  const Tensor x = rows(200), centred = x - x.mean(0);
  const Tensor value = at::linalg_eigvalsh(at::matmul(centred.t(), centred) / 200);
  const Ppca fit = fit_ppca(x, 2);
  EXPECT_NEAR(fit.noise_variance, value.slice(0, 0, 3).mean().item<double>(), 1e-12);
  const Tensor gram = at::matmul(fit.factor.t(), fit.factor);  // diagonal, by falling eigenvalue
  EXPECT_NEAR(gram[0][0].item<double>(), value[4].item<double>() - fit.noise_variance, 1e-12);
  EXPECT_NEAR(gram[1][1].item<double>(), value[3].item<double>() - fit.noise_variance, 1e-12);
  EXPECT_LT(std::abs(gram[0][1].item<double>()), 1e-12);
}

TEST(Ppca, KeepsTheShapeOfRows) {
  const Ppca fit = fit_ppca(normal({50, 2, 3}, 1, at::kFloat), 1);
  EXPECT_EQ(fit.mean.sizes(), (at::IntArrayRef{2, 3}));
  EXPECT_EQ(fit.factor.sizes(), (at::IntArrayRef{6, 1}));
  EXPECT_EQ(fit.prior().shape(), (Shape{2, 3}));
}

TEST(Ppca, BadInputIsNamed) {
  const Tensor x = rows(20);
  expect_error([&] { fit_ppca(x, 5); }, {"latent", "5", "0 to 4"});
  expect_error([&] { fit_ppca(x, -1); }, {"latent", "-1"});
  expect_error([&] { fit_ppca(x.slice(0, 0, 1), 1); }, {"data", "2 rows"});
  expect_error([&] { fit_ppca(at::cat({x, x}, 1), 5); }, {"data", "subspace of 5"});
}

}  // namespace
}  // namespace tweedie
