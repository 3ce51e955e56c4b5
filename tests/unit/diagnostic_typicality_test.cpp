// Is x like the reference rows: exact p-values where it is, power where it is not.

#include "core/special.h"
#include "diagnostic_gaussian.h"
#include "tweedie/error.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/typicality.h"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

using Status = Finding::Status;

// (n + 1, cases, 5) of one law with strongly dependent levels and heavy tails
Tensor exchangeable(int64_t n, int64_t cases, uint64_t seed) {
  Noise noise(seed);
  const Tensor z = noise.normal({n + 1, cases, 5}, at::kDouble);
  return z.cumsum(2) + 0.3 * z.pow(3);
}

Finding judged(const Tensor& all) {
  return typicality(all[0], all.slice(0, 1));
}

// Mahalanobis distances with the covariance of few rows taken for the true one
double p_as_if_known(const Tensor& all) {
  double sum = 0;
  for (int64_t c = 0; c < all.size(1); ++c) {
    const Tensor reference = all.select(1, c).slice(0, 1), centred = reference - reference.mean(0);
    const Tensor covariance = centred.t().mm(centred) / static_cast<double>(reference.size(0) - 1);
    const Tensor off = all[0][c] - reference.mean(0);
    sum += off.dot(at::linalg_solve(covariance, off, true)).item<double>();
  }
  return chi2_tail(sum, 5.0 * static_cast<double>(all.size(1)));
}

TEST(Typicality, PValuesOfTypicalRowsAreUniformAndNaivelyFarFromIt) {
  const int repetitions = 400;
  for (const int64_t cases : {2, 4}) {
    int below_a_fifth = 0, failed = 0, naively = 0;
    for (int r = 0; r < repetitions; ++r) {
      const Tensor all = exchangeable(24, cases, 100 * cases + static_cast<uint64_t>(1000 * r));
      const Finding f = judged(all);
      below_a_fifth += *f.p_value <= 0.2 + 1e-9;
      failed += f.status == Status::fail;
      naively += p_as_if_known(all) < 0.01;
    }
    // One rank of 25 is 0.04 wide: of one case p <= 0.2 has probability 0.2; of four at most that, little
    // less.
    EXPECT_LT(below_a_fifth, 0.2 * repetitions + 4 * std::sqrt(0.16 * repetitions)) << cases;
    EXPECT_GT(below_a_fifth, 0.16 * repetitions - 4 * std::sqrt(0.16 * repetitions)) << cases;
    EXPECT_LE(failed, 0.01 * repetitions) << cases;
    EXPECT_GT(naively, 0.06 * repetitions) << cases;
  }
}

TEST(Typicality, DistancesAreThoseFromTheOthers) {
  const int64_t n = 120;
  const Tensor all = exchangeable(n, 1, 3).squeeze(1);
  std::vector<double> t;
  for (int64_t j = 0; j <= n; ++j) {
    const Tensor others = at::cat({all.slice(0, 0, j), all.slice(0, j + 1)}), m = others.mean(0);
    const Tensor centred = others - m, covariance = centred.t().mm(centred) / (n - 1);
    t.push_back((all[j] - m).dot(at::linalg_solve(covariance, all[j] - m, true)).item<double>());
  }
  std::vector<double> others(t.begin() + 1, t.end());
  std::sort(others.begin(), others.end());
  const Finding f = judged(all.unsqueeze(1));
  EXPECT_NEAR(f.value / (t[0] / others[(n - 1) / 2]), 1, 1e-5);  // the lower of the two in the middle
  const auto above = std::count_if(others.begin(), others.end(), [&](double other) { return other >= t[0]; });
  EXPECT_NEAR(*f.p_value, static_cast<double>(above + 1) / (n + 1), 1e-12);
}

// D = s^2 / (s^2 + sigma^2) x_sigma: E|D - x|^2 = (sigma^4 |x|^2 + d s^4 sigma^2) / (s^2 + sigma^2)^2
TEST(Typicality, ProfileIsTheDenoisingError) {
  const int64_t d = 4000;
  const double s2 = 0.25;
  const GaussianPrior prior =
      GaussianPrior::diagonal(at::zeros({d}, at::kDouble), at::full({d}, s2, at::kDouble));
  const Tensor x = 0.8 * Noise(1).normal({2, d}, at::kDouble);
  const std::vector<double> levels{0.1, 0.5, 2};
  const Tensor profile = denoising_profile(prior, x, levels, Noise(2));
  ASSERT_EQ(profile.sizes(), (std::vector<int64_t>{2, 3}));
  for (int64_t k = 0; k < 3; ++k) {
    const double v = levels[k] * levels[k];
    const Tensor error =
        (v * v * x.square().sum(1) + static_cast<double>(d) * s2 * s2 * v) / ((s2 + v) * (s2 + v));
    // A mean over d squares of Gaussians with means: its relative deviation is at most sqrt(2 / d).
    EXPECT_LT((profile.select(1, k) - error.log()).abs().max().item<double>(), 4.5 * std::sqrt(2.0 / d));
    EXPECT_GT((profile.select(1, k) - (error * 1.3).log()).abs().min().item<double>(),
              4.5 * std::sqrt(2.0 / d));
  }
}

// The prior is of smooth rows; as large, but rough ones are denoised worse.
TEST(Typicality, SeesRowsOfAnotherKind) {
  const int64_t d = 64, n = 49, cases = 4;
  const Tensor covariance = test::chain(d, 0.95);
  const GaussianPrior prior = GaussianPrior::full(at::zeros({d}, at::kDouble), covariance);
  const Tensor root = at::linalg_cholesky(covariance);
  Noise noise(5);
  const auto smooth = [&](int64_t rows) { return noise.normal({rows, d}, at::kDouble).mm(root.t()); };
  const std::vector<double> levels{0.25, 0.5, 1, 2, 4};
  const auto judged_as = [&](const Tensor& x) {
    const Tensor all = denoising_profile(prior, at::cat({x, smooth(n * cases)}), levels, Noise(6));
    return typicality(all.slice(0, 0, cases), all.slice(0, cases).view({n, cases, 5}));
  };
  const Finding own = judged_as(smooth(cases)), foreign = judged_as(noise.normal({cases, d}, at::kDouble));
  EXPECT_EQ(own.status, Status::pass) << own.message;
  EXPECT_EQ(foreign.status, Status::fail) << foreign.message;
  EXPECT_GT(foreign.value, 10);
}

TEST(Typicality, FewRowsAreSkippedAndBadInputIsNamed) {
  EXPECT_EQ(typicality(at::zeros({2, 3}), at::zeros({18, 2, 3})).status, Status::skipped);
  // Of 30 rows p is never below 1 / 31: a pass would say nothing.
  EXPECT_EQ(judged(exchangeable(30, 1, 1)).status, Status::skipped);
  EXPECT_NE(judged(exchangeable(100, 1, 1)).status, Status::skipped);
  EXPECT_EQ(typicality(at::zeros({2, 3}), at::zeros({30, 2, 3})).status, Status::pass);  // all alike
  EXPECT_THROW(typicality(at::zeros({2, 3}), at::zeros({30, 3, 2})), Error);
  EXPECT_THROW(typicality(at::full({2, 3}, NAN), at::zeros({30, 2, 3})), Error);
}

}  // namespace
}  // namespace tweedie
