// Least squares on the support of the prior (Buchanan, Pai, Wang, Ma, "Learning deep representations of data
// distributions", eqs. 7.1.11 to 7.1.16): max -1/2 ||h(x) - y||^2 where F(x) = 0, by the method of
// multipliers,
//   max_x -1/2 ||h(x) - y||^2 + lambda F(x) - mu/2 F(x)^2,   then lambda <- lambda - mu F(x), mu <- growth mu
// with the gradient -(dh/dx)^T (h(x) - y) - mu (F - c) dF/dx, c = lambda / mu <= 0.
//
// F is the distance to the support, whose nearest point is D(x; level) in the limit of small levels; the
// level falls over the first half of the rounds, and the multiplier moves in the second: before, F is no
// distance yet. F dF/dx = x - D, and with P = D(x) held fixed the two terms in F are above the square
//   -k/2 ||x - P||^2 + constant,   k = mu (1 - c / F),
// which they touch at x: each inner step maximises that instead, in closed form for a linear h and by one
// gradient step for others.

#include "posterior/point_estimate.h"
#include "tweedie/classical.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class AugmentedLagrangian final : public CasePointEstimate {
 public:
  AugmentedLagrangian(const AugmentedLagrangianOptions& options, DrawOptions draw)
      : CasePointEstimate(AugmentedLagrangianOptions::kind, options.rounds * options.inner, {.prior = true},
                          draw),
        options_(options) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    Tensor x = c.prior->mean(at::zeros(c.prior_shape(), c.y.options()), 100 * options_.start);
    double norm2 = squared_norm(c, x), mu = options_.mu * norm2, lambda = 0;
    PointAnswer answer{.x = x};
    for (int64_t round = 0; round < options_.rounds; ++round) {
      const double sigma = falling_level(options_.start, options_.level, round, options_.rounds);
      const double allowed = 1e-6 * std::sqrt(static_cast<double>(x.numel())) * sigma;
      Tensor nearest = c.prior->mean(x, sigma);
      for (int64_t i = 0; i < options_.inner; ++i) {
        const double f = std::max(norm_of(x - nearest), allowed);
        const double k = mu - lambda / f;
        const Tensor next = towards(c, x, nearest, k, norm2);
        answer.residual = relative_change(next, x);
        x = next;
        nearest = c.prior->mean(x, sigma);
        ++answer.iterations;
        c.step_done();
      }
      if (c.linear == nullptr) norm2 = squared_norm(c, x);
      if (sigma > options_.level) continue;
      lambda -= mu * norm_of(x - nearest);
      mu *= options_.growth;
    }
    answer.converged = answer.residual <= 1e-2;
    answer.objective = 0.5 * residual2(c, x);
    answer.x = x;
    return answer;
  }

  // argmin 1/2 ||h(z) - y||^2 + k/2 ||z - nearest||^2, or a step towards it
  static Tensor towards(const PointCase& c, const Tensor& x, const Tensor& nearest, double k, double norm2) {
    if (c.linear == nullptr) return x + (c.data_gradient(x) + k * (nearest - x)) / (norm2 + k);
    c.applied(3);
    return nearest + c.linear->solve_normal(c.linear->adjoint(c.y - c.linear->apply(nearest)), k);
  }

  AugmentedLagrangianOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const AugmentedLagrangianOptions& options,
                                                       DrawOptions draw) {
  require_levels(options.start, options.level);
  require_positive(options.mu, "method.mu");
  require_at_least(options.rounds, 1, "method.rounds");
  require_at_least(options.inner, 1, "method.inner");
  if (!(options.growth >= 1 && std::isfinite(options.growth)))
    throw Error("method.growth", fmt::format("{}: at least 1 is needed", options.growth));
  return std::make_unique<AugmentedLagrangian>(options, draw);
}

}  // namespace tweedie
