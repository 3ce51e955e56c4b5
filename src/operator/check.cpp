// <A x, y> = <x, A^T y>; A (s x + t z) = s A x + t A z; (A^T A + lambda I) x = b; A^T (A A^+ y - y) = 0; A =
// U S V^T; <v, (h(x + e d) - h(x - e d)) / (2 e)> = <vjp(x, v), d> + O(e^2).

#include "tweedie/operator_check.h"

#include "core/rows.h"
#include "core/shape.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {
namespace {

constexpr double tiny = 1e-300;

double largest(const Tensor& x) {
  return x.numel() == 0 ? 0 : x.abs().max().item<double>();
}
Tensor length(const Tensor& x) {
  return row_dot(x, x).sqrt();
}
// max over the rows of |value - truth| / (|truth| + scale)
double relative(const Tensor& value, const Tensor& truth, double scale = 0) {
  return largest(length(value - truth) / (length(truth) + scale + tiny));
}

class Checker {
 public:
  Checker(const ForwardOperator& a, const OperatorCheckOptions& options)
      : forward_(a), options_(options), noise_(Noise(options.seed).stream(Stream::user)) {}

  std::vector<OperatorCheck> linear(const LinearOperator& a) {
    adjoint(a, at::kDouble, "adjoint", exact(1e-12));
    linearity(a);
    if (options_.quick) return std::move(result_);
    adjoint(a, at::kFloat, "adjoint, float32", 1e-5);
    rows();
    const double norm = a.norm();
    const double by_lanczos = a.norm_by_lanczos();
    add("norm", std::abs(norm - by_lanczos) / (by_lanczos + tiny), exact(3e-6), fmt::format("{:.8g}", norm));
    if (norm == 0) return std::move(result_);
    solves(a, norm);
    decomposition(a);
    return std::move(result_);
  }

  std::vector<OperatorCheck> nonlinear() {
    if (!options_.quick) rows();
    if (forward_.has_surrogate_derivative()) {
      add("vjp", 0, 0, "stands in for a derivative that is 0 almost everywhere: not tested");
    } else {
      derivative();
    }
    return std::move(result_);
  }

 private:
  double exact(double bound) const { return options_.single_precision ? 1e-4 : bound; }
  void add(std::string name, double value, double bound, std::string note = "") {
    result_.push_back({std::move(name), value, bound, std::move(note)});
  }
  Tensor x(int64_t rows, at::ScalarType dtype = at::kDouble) {
    return noise_.normal(with_batch(rows, forward_.domain()), dtype);
  }
  Tensor y(int64_t rows, at::ScalarType dtype = at::kDouble) {
    return noise_.normal(with_batch(rows, forward_.codomain()), dtype);
  }

  void adjoint(const LinearOperator& a, at::ScalarType dtype, const char* name, double bound) {
    const Tensor u = x(options_.pairs, dtype), v = y(options_.pairs, dtype), au = a.apply(u),
                 atv = a.adjoint(v);
    const Tensor size = length(au) * length(v) + length(u) * length(atv) + tiny;
    add(name, largest((row_dot(au, v) - row_dot(u, atv)) / size), bound,
        fmt::format("{} random pairs", options_.pairs));
  }

  void linearity(const LinearOperator& a) {
    const Tensor u = x(options_.pairs), v = x(options_.pairs), au = a.apply(u), av = a.apply(v);
    const Tensor sum = a.apply(1.5 * u - 0.7 * v);
    add("linearity", largest(length(sum - 1.5 * au + 0.7 * av) / (length(au) + length(av) + tiny)),
        exact(1e-12));
  }

  void rows() {
    const Tensor u = x(3), all = forward_.apply(u);
    double worst = 0;
    for (int64_t i = 0; i < 3; ++i) {
      const Tensor alone = forward_.apply(u.narrow(0, i, 1));
      worst = std::max(worst, relative(alone, all.narrow(0, i, 1)));
    }
    add("rows", worst, exact(1e-12), "a row alone against it among others");
  }

  void solves(const LinearOperator& a, double norm) {
    const Tensor b = x(2), c = y(2);
    double normal = 0, gram = 0;
    for (const double factor : {1.0, 1e-2}) {
      const double lambda = factor * norm * norm;
      const Tensor u = a.solve_normal(b, lambda), v = a.solve_gram(c, lambda);
      normal = std::max(normal, relative(a.normal(u) + lambda * u, b));
      gram = std::max(gram, relative(a.gram(v) + lambda * v, c));
    }
    add("solve of A^T A", normal, exact(1e-9));
    add("solve of A A^T", gram, exact(1e-9));
    if (options_.single_precision) return;
    const Tensor residual = a.adjoint(a.apply(a.pseudo_inverse(c)) - c);
    add("pseudo-inverse", largest(length(residual) / (norm * length(c))), 1e-8, "A^T (A A^+ y - y)");
  }

  void decomposition(const LinearOperator& a) {
    const auto f = a.svd();
    if (!f) return;
    const Tensor eye = at::eye(f->s.numel(), at::kDouble), u = x(2);
    const Tensor by_parts = u.flatten(1).matmul(f->v).mul(f->s).matmul(f->u.t());
    const double worst =
        std::max({relative(by_parts, a.apply(u).flatten(1)), largest(f->u.t().matmul(f->u) - eye),
                  largest(f->v.t().matmul(f->v) - eye)});
    add("decomposition", worst, 1e-10, fmt::format("{} singular values", f->s.numel()));
  }

  // The least error of several step lengths: rounding spoils short ones, a kink close by long ones.
  void derivative() {
    const Tensor at_x = x(options_.pairs), direction = x(options_.pairs), v = y(options_.pairs);
    const Tensor gradient = forward_.vjp(at_x, v), claimed = row_dot(gradient, direction);
    Tensor least = at::full({options_.pairs}, INFINITY, at::kDouble);
    for (const double e : {1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7}) {
      if (options_.single_precision && e < 1e-3) break;
      const Tensor slope =
          (forward_.apply(at_x + e * direction) - forward_.apply(at_x - e * direction)) / (2 * e);
      const Tensor size = length(slope) * length(v) + length(gradient) * length(direction) + tiny;
      least = at::minimum(least, (row_dot(slope, v) - claimed).abs() / size);
    }
    add("vjp", largest(least), options_.single_precision ? 1e-3 : 1e-6,
        fmt::format("against central differences, {} random directions", options_.pairs));
  }

  const ForwardOperator& forward_;
  OperatorCheckOptions options_;
  Noise noise_;
  std::vector<OperatorCheck> result_;
};

}  // namespace

std::vector<OperatorCheck> check_operator(const ForwardOperator& a, const OperatorCheckOptions& options) {
  Checker checker(a, options);
  if (const auto* linear = dynamic_cast<const LinearOperator*>(&a)) return checker.linear(*linear);
  return checker.nonlinear();
}

}  // namespace tweedie
