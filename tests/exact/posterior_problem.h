#pragma once
// Gaussian problems on a small image whose posterior is known, and distances of draws and laws from it.

#include "core/shape.h"
#include "core/special.h"
#include "prior/gaussian_posterior.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {

constexpr int64_t side = 4, d = side * side;

// Neighbouring pixels are alike: a product of exponential covariances along both axes, of standard deviation
// 0.8 to 1.3.
inline GaussianPrior smooth_prior() {
  const Tensor i = at::arange(side, at::kDouble);
  const Tensor along = (-(i.unsqueeze(1) - i).abs() / 2).exp();
  const Tensor std = at::linspace(0.8, 1.3, d, at::kDouble);
  return GaussianPrior::full(normal({1, side, side}, 1), at::kron(along, along) * at::outer(std, std));
}

struct GaussianProblem {
  GaussianProblem(LinearOperatorPtr op, double noise_std, int64_t cases = 1)
      : a(op),
        problem{prior, GaussianLikelihood(op, noise_std), {}},
        posterior(*prior, op->dense(), noise_std) {
    Noise truth(2), measured(3);
    problem.y = problem.likelihood.simulate(prior->sample(cases, truth), measured);
  }
  Tensor flat_y() const { return problem.y.flatten(1); }
  Tensor mean() const { return posterior.mean(flat_y()).flatten(1)[0]; }

  std::shared_ptr<const GaussianPrior> prior = std::make_shared<const GaussianPrior>(smooth_prior());
  LinearOperatorPtr a;
  Problem problem;
  GaussianPosterior posterior;
};

constexpr MmpsOptions converged{.iterations = 4 * d, .tolerance = 1e-12};

// A law N(mean, covariance) of x, flat
struct Law {
  Tensor mean, covariance;
};

// On a Gaussian prior a deterministic walk is affine in its starting point, so its law follows from d + 1
// walks.
template <class Options>
Law law_of(const Options& guidance, const GaussianProblem& p, const Sampler& sampler,
           const NoiseSchedule& schedule) {
  const Tensor y = p.problem.y.slice(0, 0, 1).expand(with_batch(d + 1, p.a->codomain()));
  const Tensor start = at::cat({at::zeros({1, d}, at::kDouble), at::eye(d, at::kDouble)});
  const auto denoiser = guide(guidance, p.prior, p.problem.likelihood, y);
  Noise none(0);
  const Tensor end = walk(*denoiser, sampler, schedule, start.view({d + 1, 1, side, side}), none).flatten(1);
  const Tensor gain = (end.slice(0, 1) - end[0]) * schedule.initial_std;
  return {end[0], at::matmul(gain.t(), gain)};
}

// The square root of the Kullback-Leibler divergence of two Gaussians is a distance in standard deviations.
// NaN where the law is degenerate.
inline double distance(const Law& law, const Law& exact) {
  const auto [factor, failed] = at::linalg_cholesky_ex(exact.covariance);
  const auto white = [f = factor](const Tensor& m) { return at::linalg_solve_triangular(f, m, false); };
  const Tensor ratio = white(white(law.covariance).t());
  const Tensor shift = white((law.mean - exact.mean).unsqueeze(1));
  const Tensor kl = 0.5 * (ratio.trace() + shift.square().sum() - law.mean.numel() - at::logdet(ratio));
  return std::sqrt(kl.item<double>());
}

// p-value of the mean of draws (n, d) of the exact law: n |mean - m|^2 in the metric of C^{-1} is chi2_d.
inline double mean_p_value(const Tensor& x, const Law& exact) {
  const Tensor shift = (x.mean(0) - exact.mean).unsqueeze(1);
  const Tensor chi2 = x.size(0) * at::matmul(shift.t(), at::linalg_solve(exact.covariance, shift));
  return chi2_tail(chi2.item<double>(), static_cast<double>(x.size(1)));
}

// Largest z of the second moments about the exact mean, each of variance (C_ii C_jj + C_ij^2) / n.
inline double covariance_z(const Tensor& x, const Law& exact) {
  const Tensor r = x - exact.mean, s = exact.covariance.diagonal();
  const Tensor error = ((at::outer(s, s) + exact.covariance.square()) / x.size(0)).sqrt();
  return ((at::matmul(r.t(), r) / x.size(0) - exact.covariance) / error).abs().max().item<double>();
}

}  // namespace tweedie
