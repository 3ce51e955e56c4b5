// Gaussian noise of any covariance against the dense formula: for N(m, S) and y = A x + w, w ~ N(0, R),
//   C = A S A^T + R,   E[x | y] = m + S A^T C^{-1} (y - A m),   p(y) = N(y; A m, C).
#include "tweedie/guidance.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"
#include "tweedie/whitening.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

struct Coloured {
  Tensor covariance = 0.3 * random_covariance(4, 1), prior_covariance = random_covariance(3, 2),
         m = normal({3}, 3), a = normal({4, 3}, 4),
         y = (m + 0.3 * normal({2, 3}, 5)).mm(a.t()) + 0.2 * normal({2, 4}, 6);
  std::shared_ptr<const GaussianPrior> prior =
      std::make_shared<GaussianPrior>(GaussianPrior::full(m, prior_covariance));

  Problem problem() const {
    return {prior, Likelihood(make_matrix({3}, a), make_correlated_noise(covariance, {4})), y};
  }
  Tensor of_y() const { return a.mm(prior_covariance).mm(a.t()) + covariance; }
  Tensor mean(const Tensor& centre, const Tensor& spread) const {  // for a prior N(centre (B, 3), spread)
    const Tensor c = a.mm(spread).mm(a.t()) + covariance;
    return centre + at::linalg_solve(c, (y - centre.mm(a.t())).t()).t().mm(a).mm(spread);
  }
  Tensor log_evidence() const { return GaussianPrior::full(at::mv(a, m), of_y()).log_prob(y); }
};

TEST(Whitening, ExactIsTheDenseFormulaEvidenceIncluded) {
  const Coloured p;
  const Draws draws = with_whitening(std::make_unique<ExactSampler>(DrawOptions{.dtype = at::kDouble}))
                          ->sample(p.problem(), 4, Noise(1), {});
  EXPECT_LT(max_difference(*draws.mean, p.mean(p.m.expand({2, 3}), p.prior_covariance)), 1e-10);
  EXPECT_LT(max_difference(*draws.log_evidence, p.log_evidence()), 1e-10);
  // Without the Jacobian of the whitening it would be off by log |L|.
  EXPECT_GT(std::abs(0.5 * at::logdet(p.covariance).item<double>()), 0.1);
}

TEST(Whitening, MmpsIsTheDenseFormula) {
  const Coloured p;
  const Problem white = whitened(p.problem());
  EXPECT_EQ(white.likelihood.noise_std(), 1);
  const Tensor x = normal({2, 3}, 6), sigma = at::tensor({0.5, 3.0}, at::kDouble);
  const auto guided =
      guide(MmpsOptions{.iterations = 12, .tolerance = 1e-13}, p.prior, white.likelihood, white.y);
  const Tensor d = p.prior->mean(x, sigma);
  for (int64_t i : {0, 1}) {  // Cov[x_0 | x_sigma] = S - S (S + sigma^2 I)^{-1} S
    const Tensor s = p.prior_covariance, s2 = sigma[i].square() * at::eye(3, at::kDouble);
    const Tensor v = s - s.mm(at::linalg_solve(s + s2, s));
    EXPECT_LT(max_difference(guided->mean(x, sigma)[i], p.mean(d, v)[i]), 1e-8) << i;
  }
}

// Without the Jacobian of the whitening, log |L| = -2 or so, the ratio would be below 0.2.
TEST(Whitening, EvidenceOfParticlesIsInTheUnitsOfY) {
  const Coloured p;
  EXPECT_LT(0.5 * at::logdet(p.covariance).item<double>(), -1.7);
  const auto check = [&](auto options, int64_t chains, double largest_error) {
    options.smc.particles = 64;
    options.smc.chains = chains;
    const auto method = with_whitening(posterior_sampler(
        options, make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 20}, 100), {.dtype = at::kDouble}));
    const Draws draws = method->sample(p.problem(), chains * 64, Noise(2), {});
    const Tensor ratio = (draws.run.particles->log_evidence - p.log_evidence()).exp();  // (chains, cases)
    for (int64_t c : {0, 1}) {
      const Tensor r = ratio.select(1, c);
      const double error = 4 * r.std().item<double>() / std::sqrt(static_cast<double>(chains));
      EXPECT_NEAR(r.mean().item<double>(), 1, error + 0.03) << options.kind << c;
      EXPECT_LT(error, largest_error) << options.kind << c;
      // The weights keep the scale: their mean is the evidence.
      const double mean =
          at::logsumexp(draws.log_weight.select(1, c), 0).item<double>() - std::log(chains * 64);
      EXPECT_NEAR(mean, (*draws.log_evidence)[c].item<double>(), 1e-6);
    }
  };
  check(McgdiffOptions{}, 96, 0.7);
  check(TdsOptions{}, 32, 0.3);
}

// A mask weighted by its precisions against its own dense matrix
TEST(Whitening, WeightedMaskHasItsClosedForms) {
  const Tensor std = at::tensor({0.5, 2.0, 1.0}, at::kDouble);
  const auto noise = make_gaussian_noise(std);
  const auto mask = make_mask(at::tensor({1, 0, 1, 0, 1}).to(at::kBool));
  const auto h = std::dynamic_pointer_cast<const LinearOperator>(whitened(mask, *noise->whitening(), noise));
  ASSERT_NE(h, nullptr);
  const Tensor a = mask->dense() / std.unsqueeze(1), eye = at::eye(3, at::kDouble), x = normal({4, 5}, 7),
               y = normal({4, 3}, 8);
  EXPECT_LT(max_difference(h->dense(), a), 1e-14);
  EXPECT_LT(max_difference(h->adjoint(y), y.mm(a)), 1e-14);
  EXPECT_DOUBLE_EQ(h->norm(), 2);
  const Svd svd = h->svd().value();
  EXPECT_LT(max_difference(svd.u.mm(svd.s.diag()).mm(svd.v.t()), a), 1e-14);
  EXPECT_LT(max_difference(svd.u.t().mm(svd.u), eye), 1e-14);
  EXPECT_LT(max_difference(svd.v.t().mm(svd.v), eye), 1e-14);
  EXPECT_TRUE(svd.s.slice(0, 1).le(svd.s.slice(0, 0, 2)).all().item<bool>());
  const auto solve = [](const Tensor& m, const Tensor& b) { return at::linalg_solve(m, b.t()).t(); };
  EXPECT_LT(max_difference(h->solve_gram(y, 0.3), solve(a.mm(a.t()) + 0.3 * eye, y)), 1e-12);
  EXPECT_LT(max_difference(h->solve_normal(x, 0.3), solve(a.t().mm(a) + 0.3 * at::eye(5, at::kDouble), x)),
            1e-12);
  EXPECT_LT(max_difference(h->pseudo_inverse(y), y.mm(at::pinverse(a).t())), 1e-12);
  EXPECT_LT(max_difference(h->apply(x.to(at::kFloat)), x.mm(a.t())), 1e-5);
}

// Noise of one standard deviation told in three ways
TEST(Whitening, IsTheSameLawHoweverItIsTold) {
  const Coloured p;
  const auto evidence = [&](const NoiseModelPtr& noise) {
    const Problem problem{p.prior, Likelihood(make_matrix({3}, p.a), noise), p.y};
    return *with_whitening(std::make_unique<ExactSampler>(DrawOptions{.dtype = at::kDouble}))
                ->sample(problem, 1, Noise(1), {})
                .log_evidence;
  };
  const Tensor stated = evidence(make_gaussian_noise(0.6));
  EXPECT_LT(max_difference(evidence(make_gaussian_noise(at::full({4}, 0.6, at::kDouble))), stated), 1e-10);
  EXPECT_LT(max_difference(evidence(make_correlated_noise(0.36 * at::eye(4, at::kDouble), {4})), stated),
            1e-10);
  EXPECT_GT(max_difference(evidence(make_gaussian_noise(0.7)), stated), 0.05);
}

}  // namespace
}  // namespace tweedie
