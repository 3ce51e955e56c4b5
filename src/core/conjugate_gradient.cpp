#include "core/conjugate_gradient.h"

#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {
namespace {

// base + factor * direction in the rows that are active, base in the others. Two roundings, everywhere: a
// fused multiply-add in part of the array would let a row's bits depend on where it lies.
Tensor advance(const Tensor& active, const Tensor& base, const Tensor& factor, const Tensor& direction) {
  return at::where(per_row(active, base).to(at::kBool), base + per_row(factor, base) * direction, base);
}

void check(const Tensor& b, const ConjugateGradientOptions& options) {
  require_real(b, "conjugate_gradient.b");
  if (b.dim() == 0) throw Error("conjugate_gradient.b", "a scalar, but a batch (rows, ...) is needed");
  if (options.max_iterations < 0) {
    throw Error("conjugate_gradient.max_iterations",
                fmt::format("{}, but >= 0 is needed", options.max_iterations));
  }
  if (!(options.tolerance >= 0)) {
    throw Error("conjugate_gradient.tolerance", fmt::format("{}, but >= 0 is needed", options.tolerance));
  }
}

}  // namespace

ConjugateGradientResult conjugate_gradient(const BatchMap& apply, const Tensor& b,
                                           const ConjugateGradientOptions& options,
                                           const BatchMap& precondition) {
  check(b, options);
  const auto map = [&](const BatchMap& f, const Tensor& v) {
    Tensor result = f ? f(v) : v;
    if (result.sizes() != b.sizes() || result.scalar_type() != b.scalar_type()) {
      throw Error("conjugate_gradient", fmt::format("the map turned shape {} into {}", to_string(b.sizes()),
                                                    to_string(result.sizes())));
    }
    return result;
  };
  const auto positive = [](const Tensor& s) { return s.gt(0).logical_and(s.isfinite()); };

  Tensor u = at::zeros_like(b), r = b, z = map(precondition, r), p = z;
  const Tensor bb = row_dot(b, b);
  Tensor rr = bb, rz = row_dot(r, z);
  Tensor active = bb.ne(0);
  Tensor broken = active.logical_and(positive(bb).logical_and(positive(rz)).logical_not());
  active =
      active.logical_and(broken.logical_not()).logical_and(rr.gt(options.tolerance * options.tolerance * bb));
  Tensor iterations = at::zeros_like(bb, at::kLong);
  std::vector<Tensor> steps;
  Tensor best_u = u, best_rz = rz, best_rr = rr, taken = iterations;  // of the best iterate so far
  // A row leaves the computation where `good` is false, with what it has.
  const auto keep = [&](const Tensor& good) {
    broken = broken.logical_or(active.logical_and(good.logical_not()));
    active = active.logical_and(good);
  };

  for (int64_t k = 0; k < options.max_iterations && active.any().item<bool>(); ++k) {
    const Tensor q = map(apply, p);
    const Tensor curvature = row_dot(p, q);
    if (options.min_curvature > 0) keep(curvature.gt(options.min_curvature * row_dot(p, p)));
    const Tensor alpha = rz / curvature;
    keep(positive(curvature).logical_and(positive(alpha.to(b.scalar_type()))));
    u = advance(active, u, alpha, p);
    r = advance(active, r, -alpha, q);
    steps.push_back(at::where(active, alpha, at::zeros_like(alpha)));
    iterations += active.to(at::kLong);
    rr = row_dot(r, r);
    active = active.logical_and(rr.gt(options.tolerance * options.tolerance * bb));

    z = map(precondition, r);
    const Tensor rz_next = row_dot(r, z);
    if (options.keep_best) {
      const Tensor better = steps.back().ne(0).logical_and(rz_next.lt(best_rz));
      best_u = at::where(per_row(better, u).to(at::kBool), u, best_u);
      best_rz = at::where(better, rz_next, best_rz);
      best_rr = at::where(better, rr, best_rr);
      taken = at::where(better, iterations, taken);
    }
    keep(positive(rz_next));
    p = advance(active, z, rz_next / rz, p);
    rz = rz_next;
  }
  if (options.keep_best) {
    u = best_u, rr = best_rr;
    for (size_t k = 0; k < steps.size(); ++k)
      steps[k] = at::where(taken.gt(static_cast<int64_t>(k)), steps[k], at::zeros_like(steps[k]));
  }
  return {u, iterations, std::move(steps), at::where(bb.ne(0), (rr / bb).sqrt(), at::zeros_like(bb)), broken};
}

}  // namespace tweedie
