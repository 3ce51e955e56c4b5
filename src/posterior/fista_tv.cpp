// FISTA with total variation. Beck and Teboulle, "Fast gradient-based algorithms for constrained total
// variation image denoising and deblurring problems", IEEE TIP 18, 2009:
//   x_{k+1} = prox_{(w / L) TV}(v_k - A^T (A v_k - y) / L),   L = ||A||^2,
// the proximal map by some steps on its dual from where the last one ended (posterior/total_variation.h).

#include "posterior/regularised.h"
#include "posterior/total_variation.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

namespace {

class FistaTv final : public RegularisedSolver {
 public:
  FistaTv(const TvOptions& options, const PointCase& c, double squared_norm)
      : options_(options),
        case_(c),
        squared_norm_(squared_norm),
        tv_(c.linear->domain(), c.y.scalar_type(), options.joint) {}

  PointAnswer solve(const Tensor& y, double weight) override {
    if (!x_.defined()) {
      x_ = case_.linear->adjoint(y) / squared_norm_;
      case_.applied(1);
    }
    const ProximalGradient steps{
        .lipschitz = squared_norm_, .iterations = options_.iterations, .tolerance = options_.tolerance};
    const ProximalAnswer found =
        proximal_gradient(case_, y, x_, steps, [&](const Tensor& z, double lipschitz, Tensor& x) {
          tv_.prox(z, weight / lipschitz, options_.inner, 0, x);
        });
    x_ = found.x;
    return {.x = x_,
            .iterations = found.iterations,
            .objective = 0.5 * found.residual2 + weight * tv_.value(x_),
            .residual = found.residual,
            .converged = found.converged};
  }
  double penalty(const Tensor& x) const override { return tv_.value(x.contiguous()); }
  double largest_weight(const Tensor& y) const override {
    return 4 * case_.linear->adjoint(y).abs().max().item<double>();
  }

 private:
  TvOptions options_;
  const PointCase& case_;
  double squared_norm_;
  TotalVariation tv_;
  Tensor x_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const FistaTvOptions& options, DrawOptions draw) {
  require_not_negative(options.tv.tolerance, "method.tolerance");
  require_at_least(options.tv.inner, 1, "method.inner");
  return regularised(FistaTvOptions::kind, options.weight, options.tv.iterations, draw,
                     [tv = options.tv](const PointCase& c, double squared_norm) {
                       return std::make_unique<FistaTv>(tv, c, squared_norm);
                     });
}

}  // namespace tweedie
