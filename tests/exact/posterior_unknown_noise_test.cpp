// An unknown noise level against its marginal posterior: for x ~ N(m, S) and y = A x + v^{1/2} n,
//   p(v | y) ~ p(v) N(y; A m, A S A^T + v I), on a grid of the level.
#include "core/special.h"
#include "tweedie/guidance.h"
#include "tweedie/operators.h"
#include "tweedie/unknown_noise.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// x | y at a known level in closed form, one draw of one case at a time
class Conjugate final : public PosteriorSampler {
 public:
  Conjugate(Tensor a, Tensor covariance) : a_(std::move(a)), precision_(at::linalg_inv(covariance)) {}
  Draws sample(const Problem& problem, int64_t, const Noise& noise, const Observer&) const override {
    const double v = std::pow(problem.likelihood.noise_std(), 2);
    const Tensor root = at::linalg_cholesky(precision_ + a_.t().mm(a_) / v);
    const Tensor mean = at::linalg_solve(root.mm(root.t()), problem.y.mm(a_).t() / v);
    Noise own = noise;
    const Tensor n = own.normal({1, a_.size(1)}, at::kDouble).t();
    Draws draws;
    draws.x = (mean + at::linalg_solve_triangular(root.t(), n, /*upper=*/true)).t().unsqueeze(1);
    return draws;
  }

 private:
  Tensor a_, precision_;
};

struct UnknownLevel {
  static constexpr int64_t m = 10, d = 2;
  Tensor a = normal({m, d}, 1);
  std::shared_ptr<const GaussianPrior> prior = std::make_shared<GaussianPrior>(
      GaussianPrior::full(at::zeros({d}, at::kDouble), random_covariance(d, 2)));
  Problem problem{prior, GaussianLikelihood(make_matrix({d}, a), 1), {}};

  UnknownLevel() {
    Noise truth(3), measured(4);
    problem.y = GaussianLikelihood(make_matrix({d}, a), 0.5).simulate(prior->sample(1, truth), measured);
  }

  // p-value of Kolmogorov's distance of draws of the level to their law under an inverse gamma prior of v
  double p_value(const Tensor& level, double shape, double scale) const {
    constexpr int64_t n = 4000;
    const Tensor grid = at::linspace(std::log(0.05), std::log(20), n, at::kDouble).exp();
    Tensor log_p = at::empty({n}, at::kDouble);
    const Tensor of_x = a.mm(prior->covariance()).mm(a.t());
    for (int64_t i = 0; i < n; ++i) {
      const double s = grid[i].item<double>(), v = s * s;
      const double log_prior = -(shape + 1) * std::log(v) - scale / v;  // of v; dv = 2 s ds = 2 s^2 dlog s
      const Tensor c = of_x + v * at::eye(m, at::kDouble);
      log_p[i] = log_prior + 2 * std::log(s) - 0.5 * at::logdet(c).item<double>() -
                 0.5 * (problem.y * at::linalg_solve(c, problem.y.t()).t()).sum().item<double>();
    }
    const Tensor cdf = at::softmax(log_p, 0).cumsum(0), sorted = std::get<0>(level.flatten().sort());
    const Tensor f = cdf.index_select(0, at::searchsorted(grid, sorted).clamp(0, n - 1));
    const auto draws = static_cast<double>(sorted.numel());
    const Tensor rank = at::arange(sorted.numel(), at::kDouble);
    return kolmogorov_p_value(
        std::max((f - rank / draws).max().item<double>(), ((rank + 1) / draws - f).max().item<double>()),
        draws);
  }
};

TEST(UnknownNoise, GibbsDrawsItsMarginalPosterior) {
  const UnknownLevel p;
  const Conjugate exact(p.a, p.prior->covariance());
  const auto draw = [&](const NoiseGibbsOptions& options) {
    return sample_with_noise(options, exact, p.problem, 200, Noise(5), {});
  };
  const Draws flat = draw({.sweeps = 24});
  EXPECT_GT(p.p_value(*flat.noise_std, -0.5, 0), 1e-3);
  EXPECT_LT(p.p_value(*flat.noise_std, 6, 0), 1e-6);
  EXPECT_TRUE(flat.run.warnings.empty());
  const Draws informed = draw({.sweeps = 24, .prior_shape = 6, .prior_scale = 4});
  EXPECT_GT(p.p_value(*informed.noise_std, 6, 4), 1e-3);
  EXPECT_LT(p.p_value(*informed.noise_std, -0.5, 0), 1e-6);

  // x and the level together: E[x | y] is E of the conditional mean over the level
  const auto mean_at = [&](double level) { return p.prior->condition(p.a, level)->mean(p.problem.y)[0]; };
  Tensor expected = at::zeros({2}, at::kDouble);
  for (int64_t i = 0; i < 200; ++i) expected += mean_at((*flat.noise_std)[i][0].item<double>()) / 200;
  const Tensor x = flat.x.select(1, 0), error = 5 * x.std(0) / std::sqrt(200.0);
  EXPECT_TRUE(((x.mean(0) - expected).abs() < error).all().item<bool>());

  const Draws few = sample_with_noise({.sweeps = 24}, exact, p.problem, 2, Noise(5), {}, 1);
  EXPECT_TRUE(at::equal(few.x, flat.x.slice(0, 0, 2)));  // whatever the number of draws and threads
  expect_error([&] { draw({.prior_shape = -5}); }, {"prior_shape", "-5"});
}

// A level that y says nothing of, under a prior that diverges at 0: the chains fall and disagree, which is
// told.
TEST(UnknownNoise, TellsWhenChainsHaveNotConverged) {
  const auto prior = std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({6}, at::kDouble), at::ones({6}, at::kDouble)));
  const Problem all{prior, GaussianLikelihood(make_identity({6}), 0.3), normal({1, 6}, 6)};
  const Draws draws =
      sample_with_noise({.sweeps = 40, .prior_shape = 0},
                        Conjugate(at::eye(6, at::kDouble), at::eye(6, at::kDouble)), all, 8, Noise(7), {});
  ASSERT_FALSE(draws.run.warnings.empty());
  EXPECT_THAT(draws.run.warnings[0], testing::HasSubstr("R-hat"));
}

// 64 x 64 pixels give 1024 coefficients, whose median deviation has a relative standard error of 1.17 /
// sqrt(1024)
TEST(UnknownNoise, IsEstimatedFromImagesAndFromResiduals) {
  const Tensor i = at::arange(64, at::kDouble) / 10, smooth = at::outer(i.sin(), (0.7 * i).cos());
  const auto image = make_identity({1, 64, 64});
  const Tensor noisy = (smooth + 0.2 * normal({64, 64}, 8)).view({1, 1, 64, 64});
  EXPECT_NEAR(estimate_noise_std(noisy, *image), 0.2, 5 * 0.2 * 1.17 / 32);
  // Edges are few among the pixels: outliers of the coefficients.
  Tensor edges = noisy.clone();
  edges.slice(3, 17, 40) += 5;
  edges.slice(2, 11, 30) -= 3;
  EXPECT_NEAR(estimate_noise_std(edges, *image), 0.2, 6 * 0.2 * 1.17 / 32);
  EXPECT_GT(edges.std().item<double>(), 1);  // as which noise would be taken

  // 40 rows of 50 measurements of 5 unknowns: the relative standard error of the level is 1 / sqrt(2 40 45)
  const Tensor a = normal({50, 5}, 9), x = normal({40, 5}, 10), y = x.mm(a.t()) + 0.3 * normal({40, 50}, 11);
  const double level = estimate_noise_std(y, *make_matrix({5}, a));
  EXPECT_NEAR(level, 0.3, 5 * 0.3 / std::sqrt(2.0 * 40 * 45));
  EXPECT_LT(0.3 * std::sqrt(45.0 / 50),
            0.3 - 2.5 * 0.3 / std::sqrt(2.0 * 40 * 45));  // what m would give for m - rank
  expect_error(
      [&] {
        estimate_noise_std(normal({1, 5}, 12), *make_identity({5}));
      },
      {"measurement.noise.estimate", "rank", "gibbs"});
}

}  // namespace
}  // namespace tweedie
