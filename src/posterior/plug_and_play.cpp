// Plug-and-play priors. Venkatakrishnan, Bouman, Wohlberg, "Plug-and-play priors for model based
// reconstruction", GlobalSIP 2013: in ADMM for -log p(y | x) - log p(x) the proximal map of the second is put
// in the hands of a denoiser, z = D(x + u; level). Half-quadratic splitting leaves u out (Zhang et al.,
// "Plug-and-play image restoration with deep denoiser prior", IEEE TPAMI 2021). The first is
//   x = argmin ||A x - y||^2 / s^2 + ||x - v||^2 / level^2 = (A^T A + r I)^{-1} (A^T y + r v),
// r = s^2 / level^2. For x ~ N(m, S) the denoiser is the proximal map of -level^2 log p, so that ADMM ends at
// the posterior's mode whatever the level.

#include "posterior/point_estimate.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class PlugAndPlay final : public CasePointEstimate {
 public:
  PlugAndPlay(const PnpOptions& options, DrawOptions draw)
      : CasePointEstimate(PnpOptions::kind, options.iterations,
                          {.prior = true, .noise = true, .linear = true}, draw),
        options_(options) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    const bool admm = options_.splitting == PnpOptions::Splitting::admm;
    const Tensor b = c.linear->adjoint(c.y);
    const double first = options_.start.value_or(std::max(1.0, options_.level));
    Tensor z = c.prior->mean(at::zeros_like(b), 100 * first), u = at::zeros_like(z), x = z;
    c.applied(1);
    PointAnswer answer{.x = z, .converged = false};
    double before = first;
    for (int64_t k = 0; k < options_.iterations; ++k) {
      const double sigma = falling_level(first, options_.level, k, options_.iterations);
      const double r = std::pow(c.noise_std / sigma, 2);
      u = u * std::pow(sigma / before, 2);  // level^2 u is what does not depend on the level
      before = sigma;
      x = c.linear->solve_normal(b + r * (z - u), r);
      c.applied(2);
      const Tensor next = c.prior->mean(x + u, sigma);
      if (admm) u = u + x - next;
      const double gap = admm ? relative_change(x, next) : 0;
      answer.residual = std::max(relative_change(next, z), gap);
      z = next;
      ++answer.iterations;
      c.step_done();
      answer.converged = sigma == options_.level && answer.residual <= options_.tolerance;
      if (answer.converged) break;
    }
    answer.x = x;
    return answer;
  }

  PnpOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const PnpOptions& options, DrawOptions draw) {
  require_levels(options.start.value_or(std::max(1.0, options.level)), options.level);
  require_at_least(options.iterations, 1, "method.iterations");
  require_positive(options.tolerance, "method.tolerance");
  return std::make_unique<PlugAndPlay>(options, draw);
}

}  // namespace tweedie
