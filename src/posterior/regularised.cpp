#include "posterior/regularised.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class Regularised final : public PointEstimate {
 public:
  Regularised(const char* method, const WeightOptions& weight, int64_t iterations, DrawOptions draw,
              MakeRegularised make)
      : PointEstimate(draw),
        method_(method),
        weight_(weight),
        iterations_(iterations),
        make_(std::move(make)) {
    draw_options_.device = at::kCPU;
  }

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    const LinearOperator& a = require_linear(problem.likelihood, method_);
    const double squared_norm = safe_squared_norm(a);
    const PointRun run{.method = method_,
                       .problem = problem,
                       .draws = draws,
                       .noise = noise,
                       .observer = observer,
                       .options = draw_options_,
                       .iterations = iterations_};
    return run_point_estimate(run, [&](const PointCase& c) {
      return solve_weighted(c, weight_, [&] { return make_(c, squared_norm); });
    });
  }

 private:
  const char* method_;
  WeightOptions weight_;
  int64_t iterations_;
  MakeRegularised make_;
};

double inner_product(const Tensor& a, const Tensor& b) {
  return row_dot(a.view({1, -1}), b.view({1, -1})).item<double>();
}

}  // namespace

// Lanczos finds it to 1e-6 of the singular value, from below.
double safe_squared_norm(const LinearOperator& a) {
  return std::max(std::pow(a.norm() * (1 + 1e-5), 2), 1e-300);
}

std::unique_ptr<const PosteriorSampler> regularised(const char* method, const WeightOptions& weight,
                                                    int64_t iterations, DrawOptions draw,
                                                    MakeRegularised make) {
  if (weight.weight) require_positive(*weight.weight, "method.weight");
  require_at_least(iterations, 1, "method.iterations");
  return std::make_unique<Regularised>(method, weight, iterations, draw, std::move(make));
}

// A is linear, so that A v follows from A x: one application and one adjoint an iteration.
ProximalAnswer proximal_gradient(const PointCase& c, const Tensor& y, const Tensor& start,
                                 const ProximalGradient& options, const Proximal& prox) {
  const LinearOperator& a = *c.linear;
  Tensor x = start.clone(at::MemoryFormat::Contiguous), next = at::empty_like(x), v = x.clone(),
         z = at::empty_like(x), moved = at::empty_like(x);
  Tensor ax = a.apply(x), av = ax.clone();
  c.applied(1);
  ProximalAnswer answer;
  double t = 1;
  for (int64_t k = 0; k < options.iterations; ++k) {
    at::sub_out(z, v, a.adjoint(av - y), 1 / options.lipschitz);
    prox(z, next);
    const Tensor a_next = a.apply(next);
    c.applied(2);
    at::sub_out(z, next, v);
    at::sub_out(moved, next, x);
    const double change = std::sqrt(inner_product(z, z)), size = std::sqrt(inner_product(next, next));
    answer.residual = change == 0 ? 0 : change / std::max(size, 1e-300);
    const bool uphill = inner_product(z, moved) < 0;  // <v - next, next - x> > 0
    if (uphill) t = 1;
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    const double momentum = options.momentum && !uphill ? (t - 1) / t_next : 0;
    t = t_next;
    at::add_out(v, next, moved, momentum);
    at::sub_out(av, a_next, ax, 1);
    av.mul_(momentum).add_(a_next);
    ax = a_next;
    std::swap(x, next);
    ++answer.iterations;
    c.step_done();
    answer.converged = answer.residual <= options.tolerance;
    if (answer.converged) break;
  }
  const Tensor r = (ax - y).reshape({1, -1});
  answer.residual2 = row_dot(r, r).item<double>();
  answer.x = x;
  return answer;
}

}  // namespace tweedie
