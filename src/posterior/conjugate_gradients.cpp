// Conjugate gradients on the normal equations, (A^T A + lambda I) x = A^T y (Pruessmann et al. 2001).

#include "tweedie/conjugate_gradients.h"

#include "core/conjugate_gradient.h"
#include "posterior/point_estimate.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class ConjugateGradients final : public CasePointEstimate {
 public:
  ConjugateGradients(const CgOptions& options, DrawOptions draw)
      : CasePointEstimate(CgOptions::kind, options.iterations, {.linear = true}, draw), options_(options) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    const LinearOperator& a = *c.linear;
    const auto dtype = options_.arithmetic == CgOptions::Arithmetic::float64 ? at::kDouble : at::kFloat;
    const auto shifted = [&](const Tensor& x) {
      c.step_done();
      return options_.lambda > 0 ? a.normal(x) + options_.lambda * x : a.normal(x);
    };
    const auto solved =
        conjugate_gradient(shifted, a.adjoint(c.y.to(dtype)),
                           {.max_iterations = options_.iterations, .tolerance = options_.tolerance});
    PointAnswer answer{.x = solved.u.to(c.y.scalar_type()),
                       .iterations = solved.iterations.item<int64_t>(),
                       .residual = solved.residual.item<double>()};
    answer.converged = options_.tolerance == 0 || answer.residual <= options_.tolerance;
    answer.broke_down = solved.broken.item<bool>();
    c.applied(1 + 2 * answer.iterations);
    return answer;
  }

  CgOptions options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const CgOptions& options, DrawOptions draw) {
  require_at_least(options.iterations, 1, "method.iterations");
  require_not_negative(options.lambda, "method.lambda");
  require_not_negative(options.tolerance, "method.tolerance");
  return std::make_unique<ConjugateGradients>(options, draw);
}

}  // namespace tweedie
