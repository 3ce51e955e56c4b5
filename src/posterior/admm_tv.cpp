// Total variation by the alternating direction method of multipliers. Boyd, Parikh, Chu, Peleato, Eckstein,
// Found. Trends Mach. Learn. 3, 2011, section 3, in scaled form with the splitting x = z:
//   x = (A^T A + rho I)^{-1} (A^T y + rho (z - u)),   z = prox_{(w / rho) TV}(x + u),   u = u + x - z.
// The first is the operator's own solve, in closed form where it has one. rho, where it is not given, is
// doubled or halved in the first iterations while the relative residuals differ tenfold (Wohlberg 2017).

#include "posterior/regularised.h"
#include "posterior/total_variation.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t tuned_iterations = 100, tune_every = 5;

class AdmmTv final : public RegularisedSolver {
 public:
  AdmmTv(const AdmmTvOptions& options, const PointCase& c, double squared_norm)
      : options_(options),
        case_(c),
        rho_(options.rho.value_or(0.1 * squared_norm)),
        tv_(c.linear->domain(), c.y.scalar_type(), options.tv.joint) {}

  PointAnswer solve(const Tensor& y, double weight) override {
    const LinearOperator& a = *case_.linear;
    const Tensor b = a.adjoint(y);
    case_.applied(1);
    if (!z_.defined()) {
      z_ = at::zeros_like(b);
      u_ = at::zeros_like(b);
    }
    PointAnswer answer{.x = {}, .converged = false};
    Tensor before = at::empty_like(z_), x;
    for (int64_t k = 0; k < options_.tv.iterations && !answer.converged; ++k) {
      x = a.solve_normal(b + rho_ * (z_ - u_), rho_);
      case_.applied(2);
      std::swap(before, z_);
      tv_.prox((x + u_).contiguous(), weight / rho_, options_.tv.inner, 0, z_);
      u_ = u_ + x - z_;
      const double primal = norm_of(x - z_) / std::max({norm_of(x), norm_of(z_), 1e-300});
      const double dual = norm_of(z_ - before) / std::max(norm_of(u_), 1e-300);
      answer.residual = std::max(primal, norm_of(z_ - before) / std::max(norm_of(z_), 1e-300));
      ++answer.iterations;
      case_.step_done();
      answer.converged = answer.residual <= options_.tv.tolerance;
      if (!options_.rho && k < tuned_iterations && k % tune_every == tune_every - 1) balance(primal, dual);
    }
    answer.x = z_.clone();
    answer.objective = 0.5 * residual2(case_, z_) + weight * tv_.value(z_);
    return answer;
  }
  double penalty(const Tensor& x) const override { return tv_.value(x.contiguous()); }
  double largest_weight(const Tensor& y) const override {
    return 4 * case_.linear->adjoint(y).abs().max().item<double>();
  }

 private:
  void balance(double primal, double dual) {
    const double factor = primal > 10 * dual ? 2 : dual > 10 * primal ? 0.5 : 1;
    rho_ *= factor;
    u_ = u_ / factor;
  }

  AdmmTvOptions options_;
  const PointCase& case_;
  double rho_;
  TotalVariation tv_;
  Tensor z_, u_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const AdmmTvOptions& options, DrawOptions draw) {
  require_not_negative(options.tv.tolerance, "method.tolerance");
  require_at_least(options.tv.inner, 1, "method.inner");
  if (options.rho) require_positive(*options.rho, "method.rho");
  return regularised(AdmmTvOptions::kind, options.weight, options.tv.iterations, draw,
                     [options](const PointCase& c, double squared_norm) {
                       return std::make_unique<AdmmTv>(options, c, squared_norm);
                     });
}

}  // namespace tweedie
