// Conjugate gradients on the normal equations, (A^T A + lambda I) x = A^T y (Pruessmann et al. 2001).

#include "tweedie/conjugate_gradients.h"

#include "core/conjugate_gradient.h"
#include "posterior/case_by_case.h"
#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class ConjugateGradients final : public PosteriorSampler {
 public:
  ConjugateGradients(const CgOptions& options, DrawOptions draw_options)
      : options_(options), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise&, const Observer& observer) const override {
    const LinearOperator& a = require_linear(problem.likelihood, "cg");
    const ConjugateGradientOptions limits{.max_iterations = options_.iterations,
                                          .tolerance = options_.tolerance};
    return case_by_case(problem, draws, observer, draw_options_, "cg", [&](const Tensor& y) {
      const auto shifted = [&](const Tensor& x) {
        return options_.lambda > 0 ? a.normal(x) + options_.lambda * x : a.normal(x);
      };
      const auto dtype = options_.arithmetic == CgOptions::Arithmetic::float64 ? at::kDouble : at::kFloat;
      const auto solved = conjugate_gradient(shifted, a.adjoint(y.to(dtype)), limits);
      const auto iterations = solved.iterations.item<int64_t>();
      const double residual = solved.residual.item<double>();
      return CaseEstimate{.x = solved.u.to(y.scalar_type()),
                          .applications = 1 + 2 * iterations,
                          .iterations = iterations,
                          .residual = residual,
                          .converged = options_.tolerance == 0 || residual <= options_.tolerance};
    });
  }

 private:
  CgOptions options_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const CgOptions& options,
                                                          DrawOptions draw_options) {
  if (options.iterations < 1) {
    throw Error("method.iterations", fmt::format("{}: at least 1 is needed", options.iterations));
  }
  for (const auto& [value, place] :
       {std::pair{options.lambda, "method.lambda"}, std::pair{options.tolerance, "method.tolerance"}}) {
    if (!(value >= 0) || !std::isfinite(value)) {
      throw Error(place, fmt::format("{}: a finite number >= 0 is needed", value));
    }
  }
  return std::make_unique<ConjugateGradients>(options, draw_options);
}

}  // namespace tweedie
