// Tikhonov, "Solution of incorrectly formulated problems and the regularization method", Soviet Math. Dokl.
// 4, 1963: x = (A^T A + weight L^T L)^{-1} A^T y, L = I or the differences of neighbouring pixels. With L = I
// the operator's own solve, in closed form where it has one; else conjugate gradients. With L = I and A = U S
// V^T div_y A x = sum_i s_i^2 / (s_i^2 + weight).

#include "core/conjugate_gradient.h"
#include "core/rows.h"
#include "core/shape.h"
#include "posterior/regularised.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// Rows or columns, and entries, up to which a dense decomposition takes no time
constexpr int64_t small = 512, most_entries = 4'000'000;
constexpr int64_t most_iterations = 5000;

double half_square(const Tensor& x) {
  const Tensor row = x.reshape({1, -1});
  return 0.5 * row_dot(row, row).item<double>();
}

// L x of one axis, and L^T L x of the image's axes: the last two of x (1, *shape), or the only one
Tensor difference(const Tensor& x, int64_t axis) {
  const int64_t n = x.size(axis) - 1;
  return x.narrow(axis, 1, n) - x.narrow(axis, 0, n);
}
int64_t first_axis(const Tensor& x) {
  return std::max<int64_t>(1, x.dim() - 2);
}
Tensor smoothness(const Tensor& x) {
  Tensor result = at::zeros_like(x);
  for (int64_t axis = first_axis(x); axis < x.dim(); ++axis) {
    const Tensor d = difference(x, axis);
    result.narrow(axis, 1, d.size(axis)).add_(d);
    result.narrow(axis, 0, d.size(axis)).sub_(d);
  }
  return result;
}

class Tikhonov final : public RegularisedSolver {
 public:
  Tikhonov(const TikhonovOptions& options, const PointCase& c, double squared_norm)
      : options_(options), case_(c), squared_norm_(squared_norm) {}

  PointAnswer solve(const Tensor& y, double weight) override {
    const LinearOperator& a = *case_.linear;
    const Tensor b = a.adjoint(y);
    case_.applied(3);
    PointAnswer answer;
    answer.iterations = 1;
    if (options_.penalty == TikhonovOptions::Penalty::identity) {
      answer.x = a.solve_normal(b, weight);
      answer.residual = norm_of(a.normal(answer.x) + weight * answer.x - b) / std::max(norm_of(b), 1e-300);
    } else {
      const auto map = [&](const Tensor& x) { return a.normal(x) + weight * smoothness(x); };
      const auto solved = conjugate_gradient(map, b.to(at::kDouble),
                                             {.max_iterations = most_iterations, .tolerance = tolerance(y)});
      answer.x = solved.u.to(y.scalar_type());
      answer.iterations = solved.iterations.item<int64_t>();
      answer.residual = solved.residual.item<double>();
      case_.applied(2 * answer.iterations);
    }
    case_.step_done();
    answer.converged = answer.residual <= 10 * tolerance(y);
    answer.objective = 0.5 * residual2(case_, answer.x) + weight * penalty(answer.x);
    return answer;
  }

  double penalty(const Tensor& x) const override {
    if (options_.penalty == TikhonovOptions::Penalty::identity) return half_square(x);
    double sum = 0;
    for (int64_t axis = first_axis(x); axis < x.dim(); ++axis) sum += half_square(difference(x, axis));
    return sum;
  }

  // The smoothest waves have a gradient of some 3 / sides of their size.
  double largest_weight(const Tensor&) const override {
    return options_.penalty == TikhonovOptions::Penalty::identity ? 10 * squared_norm_ : 1e3 * squared_norm_;
  }

  std::optional<double> divergence(double weight) const override {
    if (options_.penalty != TikhonovOptions::Penalty::identity) return std::nullopt;
    if (!looked_) {
      looked_ = true;
      const LinearOperator& a = *case_.linear;
      const int64_t m = product(a.codomain()), d = product(a.domain());
      if (std::min(m, d) <= small && m <= most_entries / d) {
        singular2_ = svd_of(a).s.square();
      } else if (const auto svd = a.svd()) {
        singular2_ = svd->s.square();
      }
    }
    if (!singular2_.defined()) return std::nullopt;
    return (singular2_ / (singular2_ + weight)).sum().item<double>();
  }

 private:
  static double tolerance(const Tensor& y) { return y.scalar_type() == at::kDouble ? 1e-10 : 1e-5; }

  TikhonovOptions options_;
  const PointCase& case_;
  double squared_norm_;
  mutable bool looked_ = false;
  mutable Tensor singular2_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> point_estimate(const TikhonovOptions& options, DrawOptions draw) {
  return regularised(TikhonovOptions::kind, options.weight, 1, draw,
                     [options](const PointCase& c, double squared_norm) {
                       return std::make_unique<Tikhonov>(options, c, squared_norm);
                     });
}

}  // namespace tweedie
