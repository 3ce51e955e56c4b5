// PiGDM, TMPD, DDNM and the oracle where theory says that they are exact, and where it says that they are
// not.
#include "core/shape.h"
#include "tweedie/ddim.h"

#include "posterior_problem.h"

#include <algorithm>

namespace tweedie {
namespace {

struct Named {
  const char* name;
  LinearOperatorPtr (*make)();
};

class Guided : public testing::TestWithParam<Named> {
 protected:
  // without noise
  bool determines_x() const { return product(a->codomain()) == d; }
  LinearOperatorPtr a = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    Operators, Guided,
    testing::Values(Named{"Mask",
                          [] {
                            return make_mask(random_mask({1, side, side}, 0.5, Noise(4)));
                          }},
                    Named{"Blur",
                          [] {
                            return make_blur({1, side, side}, gaussian_kernel(0.5, 2));
                          }},
                    Named{"Downsample",
                          [] {
                            return make_downsample({1, side, side}, 2);
                          }},
                    Named{"Composed",
                          [] {
                            return compose(make_downsample({1, side, side}, 2),
                                           make_blur({1, side, side}, gaussian_kernel(0.5, 2)));
                          }},
                    Named{"Matrix",
                          [] {
                            return make_matrix({1, side, side}, normal({7, d}, 5) / 2);
                          }}),
    [](const auto& info) { return info.param.name; });

using GaussianPtr = std::shared_ptr<const GaussianPrior>;

GaussianPtr diagonal_prior(const Tensor& variance) {
  return std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(normal({1, side, side}, 1), variance.expand({1, side, side}).contiguous()));
}
GaussianPtr isotropic_prior(double v) {
  return diagonal_prior(at::full({1, side, side}, v, at::kDouble));
}

// E[x_0 | x_sigma = x, y] from moments: (x_0, x_sigma, y) are jointly Gaussian. noise_std >= 0.
Tensor closed_form(const GaussianPrior& prior, const Tensor& a, const Tensor& x, const Tensor& y,
                   double sigma, double noise_std) {
  const Tensor s = prior.covariance(), m = prior.flat_mean(), eye = at::eye(d, at::kDouble);
  const Tensor both = at::cat({eye, a}), cross = at::matmul(s, both.t());
  const Tensor noise = at::cat(
      {at::full({d}, sigma * sigma, at::kDouble), at::full({a.size(0)}, noise_std * noise_std, at::kDouble)});
  const Tensor joint = at::matmul(at::matmul(both, s), both.t()) + at::diag(noise);
  const Tensor seen = at::cat({x.flatten(1), y.flatten(1)}, 1) - at::matmul(both, m);
  return (m + at::matmul(seen, at::linalg_solve(joint, cross.t()))).view(x.sizes());
}

// The largest difference of a guided denoiser from the exact one, over noise levels
template <class Options>
double error(const Options& options, GaussianPtr prior, LinearOperatorPtr a, double noise_std) {
  const Tensor y = normal(with_batch(5, a->codomain()), 7);
  const auto denoiser = guide(options, prior, GaussianLikelihood(a, noise_std), y);
  double worst = 0;
  for (const double sigma : {0.1, 0.7, 3.0, 30.0}) {
    const Tensor x = (1 + sigma) * normal({5, 1, side, side}, 6);
    const Tensor exact = closed_form(*prior, a->dense(), x, y, sigma, noise_std);
    worst = std::max(worst, max_difference(denoiser->mean(x, sigma), exact));
  }
  return worst;
}

TEST_P(Guided, PigdmIsExactForIsotropicPriorsOnly) {
  const double v = 2.5;
  for (const double noise_std : {0.0, 1e-3, 0.3}) {
    const auto off = [&](std::optional<double> variance, GaussianPtr prior) {
      return error(PigdmOptions{.data_variance = variance}, prior, a, noise_std);
    };
    EXPECT_LT(off(v, isotropic_prior(v)), 1e-6) << noise_std;
    EXPECT_LT(off({}, isotropic_prior(v)), 1e-6) << noise_std;  // estimated
    if (noise_std > 0.1 || !determines_x())
      EXPECT_GT(off(v, std::make_shared<const GaussianPrior>(smooth_prior())), 0.03) << noise_std;
    // Without noise r^2 cancels; it matters where y and x_sigma compete.
    if (noise_std == 0.3) EXPECT_GT(off(1, isotropic_prior(v)), 0.01);
  }
}

TEST_P(Guided, DdnmIsExactForIsotropicPriorsWithoutNoiseOnly) {
  EXPECT_LT(error(DdnmOptions{}, isotropic_prior(2.5), a, 0), 1e-6);
  EXPECT_GT(error(DdnmOptions{}, isotropic_prior(2.5), a, 0.3), 0.02);
  if (!determines_x())
    EXPECT_GT(error(DdnmOptions{}, std::make_shared<const GaussianPrior>(smooth_prior()), a, 0), 0.03);
}

TEST_P(Guided, MmpsAndOracleAreExactForEveryGaussianPriorAndNoNoise) {
  const auto prior = std::make_shared<const GaussianPrior>(smooth_prior());
  for (const double noise_std : {0.0, 0.3}) {
    EXPECT_LT(error(OracleOptions{}, prior, a, noise_std), 1e-8) << noise_std;
    EXPECT_LT(error(converged, prior, a, noise_std), 1e-8) << noise_std;
    EXPECT_LT(error(CfgOptions{.scale = 1}, prior, a, noise_std), 1e-8) << noise_std;
    EXPECT_GT(error(CfgOptions{.scale = 2}, prior, a, noise_std), 0.1) << noise_std;
    EXPECT_GT(error(PigdmOptions{}, prior, a, noise_std + 0.1), 0.03) << noise_std;
  }
}

// The formula with dense matrices. Rows of A V A^T with signs of both kinds also try the floor.
TEST_P(Guided, TmpdIsItsFormula) {
  const GaussianPrior prior = smooth_prior();
  const double noise_std = 0.3;
  const Tensor m = a->dense(), y = normal(with_batch(5, a->codomain()), 7);
  const auto denoiser =
      guide(TmpdOptions{}, std::make_shared<const GaussianPrior>(prior), GaussianLikelihood(a, noise_std), y);
  for (const double sigma : {0.1, 0.7, 30.0}) {
    const Tensor x = (1 + sigma) * normal({5, 1, side, side}, 6), mean = prior.mean(x, sigma);
    const Tensor s = prior.covariance(), total = s + sigma * sigma * at::eye(d, at::kDouble);
    const Tensor v = sigma * sigma * at::linalg_solve(total, s);
    const Tensor rows = at::matmul(at::matmul(m, v), m.t()).sum(1).clamp_min(0) + noise_std * noise_std;
    const Tensor residual = y.flatten(1) - at::matmul(mean.flatten(1), m.t());
    const Tensor expected = mean + at::matmul(residual / rows, at::matmul(m, v)).view(x.sizes());
    EXPECT_LT(max_difference(denoiser->mean(x, sigma), expected), 1e-9) << sigma;
  }
}

TEST(Tmpd, IsExactWhereTheMeasurementsAreIndependent) {
  const auto uneven = diagonal_prior(at::linspace(0.3, 4, d, at::kDouble).view({1, side, side}));
  const auto smooth = std::make_shared<const GaussianPrior>(smooth_prior());
  const auto mask = make_mask(random_mask({1, side, side}, 0.5, Noise(4)));
  const auto blocks = make_downsample({1, side, side}, 2);
  const auto blur = make_blur({1, side, side}, gaussian_kernel(0.5, 2));
  EXPECT_LT(error(TmpdOptions{}, uneven, mask, 0.3), 1e-12);
  EXPECT_LT(error(TmpdOptions{}, uneven, blocks, 0.3), 1e-12);
  EXPECT_GT(error(TmpdOptions{}, smooth, mask, 0.3), 0.1);
  EXPECT_GT(error(TmpdOptions{}, uneven, blur, 0.3), 0.03);
}

TEST_P(Guided, OneNoiseLevelForEachRow) {
  const GaussianProblem p(a, 0.3, 3);
  const Tensor x = normal({3, 1, side, side}, 7), sigma = at::tensor({0.1, 1.0, 10.0}, at::kDouble);
  const auto check = [&](const auto& options) {
    const auto denoiser = guide(options, p.prior, p.problem.likelihood, p.problem.y);
    const Tensor mean = denoiser->mean(x, sigma);
    for (int64_t i = 0; i < 3; ++i)
      EXPECT_LT(max_difference(mean[i], denoiser->mean(x, sigma[i].item<double>())[i]), 1e-9);
  };
  check(PigdmOptions{});
  check(TmpdOptions{});
  check(DdnmOptions{});
  check(OracleOptions{});
  check(CfgOptions{.scale = 3});
}

NoiseSchedule grid(int64_t steps) {
  return make_schedule(Karras{.sigma_min = 0.01, .sigma_max = 1000}, steps);
}

// No Monte Carlo: the law at the walk's end, in standard deviations of the posterior.
TEST_P(Guided, OracleReachesThePosterior) {
  const GaussianProblem p(a, 0.5);
  const Law exact{p.mean(), p.posterior.covariance()};
  const auto off = [&](const auto& options, int64_t steps) {
    return distance(law_of(options, p, Heun({}, steps), grid(steps)), exact);
  };
  const double fine = off(OracleOptions{}, 80);
  EXPECT_LT(fine, 0.1);
  EXPECT_LT(fine, off(OracleOptions{}, 20) / 4);
  EXPECT_FALSE(off(CfgOptions{.scale = 2}, 80) < 0.5);
  EXPECT_FALSE(off(PigdmOptions{}, 80) < 0.15);
  EXPECT_FALSE(off(DdnmOptions{}, 80) < 0.5);
}

// A x_0 = y, to the rounding of the state's dtype
TEST_P(Guided, DdnmReproducesY) {
  GaussianProblem p(a, 0, 3);
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const auto residual = [&](const Guidance& guidance) {
      const GuidedSampler method(guidance, std::make_shared<Ddim>(DdimOptions{.eta = 0.85}), grid(20),
                                 {.dtype = dtype});
      const Draws draws = method.sample(p.problem, 4, Noise(9), {});
      EXPECT_TRUE(draws.run.warnings.empty());
      const Tensor ax = a->apply(draws.x.flatten(0, 1).to(at::kDouble))
                            .view_as(draws.x.new_empty(with_batch(4, p.problem.y.sizes()), at::kDouble));
      return max_difference(ax, p.problem.y.expand_as(ax));
    };
    const double rounding = dtype == at::kDouble ? 1e-9 : 1e-4;
    EXPECT_LT(residual(DdnmOptions{}), rounding);
    if (dtype == at::kFloat) EXPECT_GT(residual(PigdmOptions{.data_variance = 1e-3}), rounding);
  }
  p.problem.likelihood = GaussianLikelihood(a, 0.1);
  const GuidedSampler method(DdnmOptions{}, std::make_shared<Ddim>(), grid(2), {});
  EXPECT_THAT(method.sample(p.problem, 1, Noise(9), {}).run.warnings,
              testing::ElementsAre(testing::HasSubstr("ddnm-plus")));
}

// Draw for draw the same in any number of draws, with any number of threads: rows of one slice have one
// posterior each.
TEST(Oracle, DrawsDoNotDependOnTheOthers) {
  const GaussianProblem p(make_downsample({1, side, side}, 2), 0.5, 5);
  const auto draw = [&](int64_t draws, int64_t threads) {
    const GuidedSampler method(OracleOptions{}, std::make_shared<Ddim>(DdimOptions{.eta = 1}), grid(6),
                               {.threads = threads});
    return method.sample(p.problem, draws, Noise(10), {}).x;
  };
  const Tensor many = draw(9, 2);
  EXPECT_TRUE(at::equal(many, draw(9, 1)));
  EXPECT_TRUE(at::equal(many.narrow(0, 0, 3), draw(3, 1)));
}

TEST(Oracle, RowsOfOneYAreOneCase) {
  const GaussianProblem p(make_downsample({1, side, side}, 2), 0.5, 2);
  const Tensor y = p.problem.y.index_select(0, at::tensor({0, 1, 0, 1, 1}));
  const Tensor x = normal({5, 1, side, side}, 11), v = normal({5, 1, side, side}, 12);
  const auto denoiser = guide(OracleOptions{}, p.prior, p.problem.likelihood, y);
  const Tensor exact = closed_form(*p.prior, p.a->dense(), x, y, 0.8, 0.5);
  EXPECT_LT(max_difference(denoiser->mean(x, 0.8), exact), 1e-10);
  // The vjp by central differences
  const Tensor w = normal({5, 1, side, side}, 13);
  const Tensor vjp = linearise(*denoiser, x, 0.8).vjp(v);
  const Tensor slope = (denoiser->mean(x + 1e-3 * w, 0.8) - denoiser->mean(x - 1e-3 * w, 0.8)) / 2e-3;
  EXPECT_LT(max_difference((vjp * w).flatten(1).sum(1), (slope * v).flatten(1).sum(1)), 1e-9);
  expect_error([&] { denoiser->mean(x.narrow(0, 0, 3), 0.8); }, {"oracle", "5 measurements for 3 rows"});
}

class Unknown final : public Denoiser {
 public:
  Shape shape() const override { return {1, side, side}; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor&) const override { return x; }
};

TEST(EstimateDataVariance, IsThatOfThePrior) {
  const auto off = [](const GaussianPrior& prior) {
    const double exact = prior.covariance().diagonal().mean().item<double>();
    return std::abs(estimate_data_variance(prior) / exact - 1);
  };
  EXPECT_LT(off(smooth_prior()), 1e-6);
  for (const double v : {1e-12, 1.0, 1e10}) {
    EXPECT_LT(off(GaussianPrior::diagonal(normal({300}, 1), v * normal({300}, 2).square())), 0.2) << v;
    EXPECT_LT(off(GaussianPrior::diagonal(normal({256}, 1), v * normal({256}, 2).square())), 1e-6) << v;
  }
  expect_error([] { estimate_data_variance(Unknown()); }, {"method.data_variance", "not given"});
}

TEST(Guidance, RefusesWhatItCannotDo) {
  const GaussianProblem p(make_downsample({1, side, side}, 2), 0.5);
  const Tensor y = p.problem.y;
  const GaussianLikelihood quiet(p.a, 0);
  const Likelihood& loud = p.problem.likelihood;
  const auto unknown = std::make_shared<const Unknown>();
  expect_error([&] { guide(DpsOptions{}, p.prior, quiet, y); },
               {"measurement.noise.std: 0", "dps divides by the noise's std", "ddrm"});
  EXPECT_NO_THROW(guide(DpsOptions{.step_size = 1}, p.prior, quiet, y));
  expect_error([&] { guide(TmpdOptions{}, p.prior, quiet, y); }, {"measurement.noise.std", "tmpd"});
  expect_error([&] { guide(OracleOptions{}, unknown, loud, y); }, {"method.kind", "oracle", "analytic"});
  expect_error([&] { guide(CfgOptions{}, unknown, loud, y); }, {"method.kind", "analytic"});
  expect_error([&] { guide(CfgOptions{.scale = -1}, p.prior, loud, y); }, {"method.scale", "-1"});
  expect_error([&] { guide(PigdmOptions{}, unknown, loud, y); }, {"method.data_variance", "not given"});
  expect_error([&] { guide(PigdmOptions{.data_variance = 0}, p.prior, loud, y); },
               {"method.data_variance", "0"});
}

}  // namespace
}  // namespace tweedie
