// Regularisation by denoising. Romano, Elad, Milanfar, "The little engine that could", SIAM J. Imaging Sci.
// 10, 2017: with R(x) = 1/2 x^T (x - D(x)), under its conditions, ||A x - y||^2 / (2 s^2) + w R is least
// where
//   A^T (A x - y) / s^2 + w (x - D(x; level)) = 0.
// Reehorst and Schniter, IEEE TCI 5, 2019: no denoiser of images keeps those conditions, but with
// w = 1 / level^2 the second term is minus the score of x_level for every denoiser that is a posterior mean:
// the answer is the mode of p_level(x) p(y | x).
//
// Linear A: the fixed-point iteration x <- (A^T A + w s^2 I)^{-1} (A^T y + w s^2 D(x)). Others: gradient
// steps. The level falls from `start` over the first half, without which the iteration ends in the nearest of
// many modes.

#include "posterior/local_posterior.h"
#include "posterior/point_estimate.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class Red final : public CasePointEstimate {
 public:
  Red(const RedOptions& options, DrawOptions draw)
      : CasePointEstimate(RedOptions::kind, options.iterations, {.prior = true, .noise = true}, draw),
        options_(options) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    const double first = options_.start.value_or(std::max(1.0, options_.level));
    const Tensor b = c.linear != nullptr ? c.linear->adjoint(c.y) : Tensor();
    Tensor x = c.prior->mean(at::zeros(c.prior_shape(), c.y.options()), 100 * first);
    PointAnswer answer{.x = x, .converged = false};
    for (int64_t k = 0; k < options_.iterations && !answer.converged; ++k) {
      const double sigma = falling_level(first, options_.level, k, options_.iterations);
      const double pull = options_.weight.value_or(1 / (sigma * sigma)) * std::pow(c.noise_std, 2);
      const Tensor denoised = c.prior->mean(x, sigma);
      Tensor next;
      if (c.linear != nullptr) {
        next = c.linear->solve_normal(b + pull * denoised, pull);
        c.applied(2);
      } else {
        const double step = 1 / (squared_norm(c, x) + pull);
        next = x + step * (c.data_gradient(x) + pull * (denoised - x));
      }
      answer.residual = relative_change(next, x);
      x = next;
      ++answer.iterations;
      c.step_done();
      answer.converged = sigma == options_.level && answer.residual <= options_.tolerance;
    }
    answer.x = x;
    return answer;
  }

  RedOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const RedOptions& options, DrawOptions draw) {
  require_levels(options.start.value_or(std::max(1.0, options.level)), options.level);
  if (options.weight) require_positive(*options.weight, "method.weight");
  require_at_least(options.iterations, 1, "method.iterations");
  require_positive(options.tolerance, "method.tolerance");
  return std::make_unique<Red>(options, draw);
}

}  // namespace tweedie
