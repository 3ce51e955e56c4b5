#include "posterior/regularised.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

DrawOptions on_cpu(DrawOptions options) {
  options.device = at::kCPU;
  return options;
}

class Regularised final : public CasePointEstimate {
 public:
  Regularised(const char* method, const WeightOptions& weight, int64_t iterations, const DrawOptions& draw,
              MakeRegularised make)
      : CasePointEstimate(method, iterations, {.linear = true}, on_cpu(draw)),
        weight_(weight),
        make_(std::move(make)) {}

 private:
  PointAnswer solve(const PointCase& c) const override {
    return solve_weighted(c, weight_, [&] { return make_(c, c.linear_squared_norm()); });
  }

  WeightOptions weight_;
  MakeRegularised make_;
};

double inner_product(const Tensor& a, const Tensor& b) {
  return row_dot(a.reshape({1, -1}), b.reshape({1, -1})).item<double>();
}

}  // namespace

std::unique_ptr<const PosteriorSampler> regularised(const char* method, const WeightOptions& weight,
                                                    int64_t iterations, DrawOptions draw,
                                                    MakeRegularised make) {
  if (weight.weight) require_positive(*weight.weight, "method.weight");
  require_at_least(iterations, 1, "method.iterations");
  return std::make_unique<Regularised>(method, weight, iterations, draw, std::move(make));
}

// A^T A is linear, so that A^T A v follows from those of x: one of them an iteration.
ProximalAnswer proximal_gradient(const PointCase& c, const Tensor& y, const Tensor& start,
                                 const ProximalGradient& options, const Proximal& prox) {
  const LinearOperator& a = *c.linear;
  Tensor x = start.clone(at::MemoryFormat::Contiguous), next = at::empty_like(x), v = x.clone(),
         z = at::empty_like(x), moved = at::empty_like(x);
  const Tensor b = a.adjoint(y);
  Tensor nx = a.normal(x), nv = nx.clone();  // A^T A of x and of v
  c.applied(3);
  ProximalAnswer answer;
  double t = 1, lipschitz = options.lipschitz, change = 0, size = 0;
  const double rounding = 8 * (x.scalar_type() == at::kDouble ? std::numeric_limits<double>::epsilon()
                                                              : std::numeric_limits<float>::epsilon());
  for (int64_t k = 0; k < options.iterations; ++k) {
    Tensor n_next;
    while (true) {
      at::sub_out(z, v, nv - b, 1 / lipschitz);
      prox(z, lipschitz, next);
      n_next = a.normal(next);
      c.applied(2);
      at::sub_out(z, next, v);
      change = std::sqrt(inner_product(z, z));
      size = std::sqrt(inner_product(next, next));
      // All that descent needs of L (Beck and Teboulle 2009, FISTA with backtracking):
      //   ||A (x_{k+1} - v_k)||^2 <= L ||x_{k+1} - v_k||^2
      const double curvature = inner_product(z, n_next - nv);
      if (!(curvature > lipschitz * change * (change + rounding * size))) break;
      lipschitz = 1.05 * curvature / (change * change);
    }
    at::sub_out(moved, next, x);
    answer.residual = change == 0 ? 0 : change / std::max(size, 1e-300);
    const bool uphill = inner_product(z, moved) < 0;  // <v - next, next - x> > 0
    if (uphill) t = 1;
    const double t_next = (1 + std::sqrt(1 + 4 * t * t)) / 2;
    const double momentum = options.momentum && !uphill ? (t - 1) / t_next : 0;
    t = t_next;
    at::add_out(v, next, moved, momentum);
    at::sub_out(nv, n_next, nx, 1);
    nv.mul_(momentum).add_(n_next);
    nx = n_next;
    std::swap(x, next);
    ++answer.iterations;
    c.step_done();
    answer.converged = answer.residual <= options.tolerance;
    if (answer.converged) break;
  }
  const Tensor r = (a.apply(x) - y).reshape({1, -1});
  c.applied(1);
  answer.residual2 = row_dot(r, r).item<double>();
  answer.x = x;
  return answer;
}

}  // namespace tweedie
