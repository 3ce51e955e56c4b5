// On a Gaussian prior with a linear operator MMPS is exact at every noise level, so what is left of the
// posterior's error is the sampler's discretisation and, of draws, Monte Carlo.
#include "core/shape.h"

#include "posterior_problem.h"

namespace tweedie {
namespace {

struct Named {
  const char* name;
  LinearOperatorPtr (*make)();
};

class Mmps : public testing::TestWithParam<Named> {
 protected:
  LinearOperatorPtr a = GetParam().make();
};

INSTANTIATE_TEST_SUITE_P(
    Operators, Mmps,
    testing::Values(Named{"Mask",
                          [] {
                            return make_mask(random_mask({1, side, side}, 0.5, Noise(4)));
                          }},
                    Named{"Blur",
                          [] {
                            return make_blur({1, side, side}, gaussian_kernel(0.6, 2));
                          }},
                    Named{"Downsample",
                          [] {
                            return make_downsample({1, side, side}, 2);
                          }},
                    Named{"Matrix",
                          [] {
                            return make_matrix({1, side, side}, normal({7, d}, 5) / 2);
                          }}),
    [](const auto& info) { return info.param.name; });

// E[x_0 | x_sigma = x, y] in information form
Tensor closed_form(const GaussianProblem& p, const Tensor& x, double sigma, double noise_std) {
  const Tensor a = p.a->dense(), inverse = at::linalg_inv(p.prior->covariance());
  const double s2 = sigma * sigma, n2 = noise_std * noise_std;
  const Tensor precision = inverse + at::eye(d, at::kDouble) / s2 + at::matmul(a.t(), a) / n2;
  const Tensor b =
      at::matmul(p.prior->flat_mean(), inverse) + x.flatten(1) / s2 + at::matmul(p.flat_y(), a) / n2;
  return at::linalg_solve(precision, b.t()).t().reshape(x.sizes());
}

TEST_P(Mmps, IsThePosteriorDenoiser) {
  constexpr double noise_std = 0.3;
  const GaussianProblem p(a, noise_std, 5);
  const auto difference = [&](const auto& options, const Likelihood& likelihood, double sigma) {
    const Tensor x = p.prior->flat_mean().view({1, side, side}) + (1 + sigma) * normal({5, 1, side, side}, 6);
    const Tensor ours = guide(options, p.prior, likelihood, p.problem.y)->mean(x, sigma);
    return max_difference(ours, closed_form(p, x, sigma, noise_std));
  };
  for (const double sigma : {0.02, 0.3, 2.0, 80.0}) {
    EXPECT_LT(difference(converged, p.problem.likelihood, sigma), 1e-9) << sigma;
  }
  // What it is not: fewer iterations, another noise level, no covariance at all.
  EXPECT_GT(difference(MmpsOptions{.iterations = 1}, p.problem.likelihood, 2), 0.01);
  EXPECT_GT(difference(converged, GaussianLikelihood(a, 2 * noise_std), 2), 0.01);
  EXPECT_GT(difference(DpsOptions{}, p.problem.likelihood, 2), 1);
}

TEST_P(Mmps, OneNoiseLevelForEachRow) {
  const GaussianProblem p(a, 0.3, 3);
  const auto denoiser = guide(converged, p.prior, p.problem.likelihood, p.problem.y);
  const Tensor x = normal({3, 1, side, side}, 7), sigma = at::tensor({0.1, 1.0, 10.0}, at::kDouble);
  const Tensor mean = denoiser->mean(x, sigma);
  for (int64_t i = 0; i < 3; ++i) {
    EXPECT_LT(max_difference(mean[i], denoiser->mean(x, sigma[i].item<double>())[i]), 1e-10);
  }
}

// The walk starts at N(0, sigma_max^2 I), whose mean is off by that of x: by 1 in sigma_max of its standard
// deviation.
NoiseSchedule grid(int64_t steps, double sigma_max = 100) {
  return make_schedule(Karras{.sigma_min = 0.01, .sigma_max = sigma_max}, steps);
}

// No Monte Carlo: the law of the walk's end, whose distance from the posterior falls as the square of the
// number of steps.
TEST_P(Mmps, WalkTendsToThePosterior) {
  const GaussianProblem p(a, 0.5);
  const Law exact{p.mean(), p.posterior.covariance()};
  const auto error = [&](const auto& options, const Likelihood& likelihood, int64_t steps) {
    GaussianProblem other = p;
    other.problem.likelihood = likelihood;
    return distance(law_of(options, other, Heun({}, steps), grid(steps, 1000)), exact);
  };
  const double coarse = error(converged, p.problem.likelihood, 20);
  const double fine = error(converged, p.problem.likelihood, 80);
  EXPECT_LT(fine, 0.1);  // of a standard deviation, over all 16 coordinates together
  EXPECT_LT(fine, coarse / 4);
  EXPECT_FALSE(error(converged, GaussianLikelihood(a, 1.0), 80) < 0.5);
  EXPECT_FALSE(error(DpsOptions{}, p.problem.likelihood, 80) < 0.5);
}

TEST_P(Mmps, DrawsHaveThePosteriorsMoments) {
  constexpr int64_t n = 160, steps = 24;
  const GaussianProblem p(a, 0.5);
  const Law exact{p.mean(), p.posterior.covariance()};
  const auto draw = [&](const Guidance& guidance, const Likelihood& likelihood) {
    const GuidedSampler sampler(guidance, std::make_shared<Heun>(HeunOptions{}, steps), grid(steps),
                                {.dtype = at::kDouble});
    return sampler.sample({p.prior, likelihood, p.problem.y}, n, Noise(8), {}).x.reshape({n, d});
  };
  // The discretisation shifts the mean by less than its Monte Carlo error, sqrt(d / n) in this distance.
  const double bias = distance(law_of(converged, p, Heun({}, steps), grid(steps)), exact);
  EXPECT_LT(bias, 0.6 * std::sqrt(double{d} / n));

  const MmpsOptions enough{.iterations = d, .tolerance = 1e-3};
  const Tensor x = draw(enough, p.problem.likelihood);
  EXPECT_GT(mean_p_value(x, exact), 1e-4);
  EXPECT_LT(covariance_z(x, exact), 4.5);
  const Tensor wide = draw(enough, GaussianLikelihood(a, 1.0)),
               thin = draw(DpsOptions{}, p.problem.likelihood);
  EXPECT_FALSE(covariance_z(wide, exact) < 8 && mean_p_value(wide, exact) > 1e-8);
  EXPECT_FALSE(covariance_z(thin, exact) < 8 && mean_p_value(thin, exact) > 1e-8);
}

}  // namespace
}  // namespace tweedie
