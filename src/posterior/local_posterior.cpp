#include "posterior/local_posterior.h"

#include "core/langevin.h"
#include "core/rows.h"
#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

// One solve for all rows where they share a weight: operators give a row the same bits in either case.
Tensor solve_rows(const std::function<Tensor(const Tensor&, double)>& solve, const Tensor& b,
                  const Tensor& weight) {
  const Tensor w = weight.cpu().contiguous();
  const double* value = w.data_ptr<double>();
  const auto checked = [&](const Tensor& part, double shift) {
    return shift >= 0 && std::isfinite(shift) ? solve(part, shift) : at::full_like(part, NAN);
  };
  if (std::equal(value + 1, value + w.numel(), value)) return checked(b, *value);
  std::vector<Tensor> solved;
  for (int64_t i = 0; i < b.size(0); ++i) solved.push_back(checked(b.slice(0, i, i + 1), value[i]));
  return at::cat(solved);
}

Tensor nearest_to_data(const LoopRows& rows, const LinearOperator& a, const Tensor& y, const Tensor& x,
                       const Tensor& weight) {
  rows.applied(4);
  const auto solve = [&](const Tensor& r, double w) {
    return w > 0 ? a.adjoint(a.solve_gram(r, w)) : a.pseudo_inverse(r);
  };
  return x + solve_rows(solve, y - a.apply(x), weight);
}

SquaredNorm::SquaredNorm(const Problem& problem)
    : gaussian_(problem.likelihood.noise().noise_std().has_value()) {
  if (const LinearOperator* a = problem.likelihood.linear()) linear_ = std::pow(a->norm(), 2);
}

Tensor SquaredNorm::at(const LoopRows& rows, const Tensor& x) const {
  const Tensor norm2 = of_operator(rows, x);
  if (gaussian_) return norm2;
  rows.applied(1);
  return norm2 * rows.noise.slope(rows.y, rows.forward.apply(x)).information.flatten(1).amax(1);
}

Tensor SquaredNorm::of_operator(const LoopRows& rows, const Tensor& x) const {
  if (linear_) return rows.each(*linear_);
  rows.applied(jacobian_norm_applications);
  return jacobian_squared_norm(rows.forward, x);
}

Tensor jacobian_squared_norm(const ForwardOperator& h, const Tensor& x) {
  const Tensor at = x.to(at::kDouble);
  const Tensor size = row_dot(at, at).sqrt() + std::sqrt(static_cast<double>(product(h.domain())));
  const auto unit = [](const Tensor& v) { return v / per_row(row_dot(v, v).sqrt().clamp_min(1e-300), v); };
  Noise fixed(0);
  const Tensor w = fixed.normal(with_batch(1, h.codomain()), at::kDouble).to(x.device());
  Tensor v = unit(h.vjp(at, w.expand(with_batch(x.size(0), h.codomain())).contiguous())), norm2;
  for (int i = 0; i < jacobian_norm_iterations; ++i) {
    const Tensor step = per_row(1e-5 * size, v) * v;
    const Tensor difference = h.apply(at + step) - h.apply(at - step);
    const Tensor jtjv = h.vjp(at, difference / per_row(2e-5 * size, difference));
    norm2 = row_dot(jtjv, jtjv).sqrt();
    v = unit(jtjv);
  }
  return norm2;
}

LocalPosterior::LocalPosterior(const InnerOptions& options, const Problem& problem, const char* method)
    : options_(options),
      linear_(problem.likelihood.linear()),
      gaussian_(problem.likelihood.noise().noise_std().has_value()),
      noise_variance_(gaussian_ ? std::pow(problem.likelihood.noise_std(), 2) : 1) {
  require_at_least(options.inner_steps, 1, "method.inner_steps");
  if (!(options.inner_step > 0 && options.inner_step <= 1))
    throw Error("method.inner_step", fmt::format("{}: above 0 and at most 1 is needed", options.inner_step));
  if (options.inner == InnerDraw::exact && linear_ == nullptr) {
    throw Error(
        "method.inner",
        fmt::format("exact, but {} can draw exactly for linear operators only; use langevin", method));
  }
  if (options.inner == InnerDraw::exact && !gaussian_) {
    throw Error("method.inner",
                fmt::format("exact, but {} can draw exactly under gaussian noise only, and that "
                            "of y is {}; use langevin",
                            method, problem.likelihood.noise().kind()));
  }
  if (options.inner == InnerDraw::langevin || !gaussian_) linear_ = nullptr;
  if (linear_ == nullptr) norm_.emplace(problem);
}

Tensor LocalPosterior::draw(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const {
  if (!gaussian_) return metropolis(rows, x, r2, noise);
  return linear_ != nullptr ? exact(rows, x, r2, noise) : langevin(rows, x, r2, noise);
}

// Matheron's rule: with x' ~ N(x, r^2 I) and y' ~ N(y, noise_std^2 I) the z nearest to both has the law q.
Tensor LocalPosterior::exact(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const {
  const Tensor near = x + per_row(r2.sqrt(), x) * noise.normal_like(x);
  const Tensor y = rows.y + std::sqrt(noise_variance_) * noise.normal_like(rows.y);
  return nearest_to_data(rows, *linear_, y, near, noise_variance_ / r2);
}

// The start has q's law already in the directions that h doesn't see, which Langevin is slow to explore.
Tensor LocalPosterior::langevin(const LoopRows& rows, const Tensor& x, const Tensor& r2, Noise& noise) const {
  Tensor z = x + per_row(r2.sqrt(), x) * noise.normal_like(x);
  Tensor push, pull, shake;
  // For an operator that is not linear the largest curvature is another one where the chain has come to.
  const int64_t stay = norm_->constant() ? options_.inner_steps : (options_.inner_steps + 3) / 4;
  for (int64_t i = 0; i < options_.inner_steps; ++i) {
    if (i % stay == 0) {
      const Tensor step = options_.inner_step / (norm_->at(rows, z) / noise_variance_ + 1 / r2);
      push = per_row(step / noise_variance_, x);
      pull = per_row(step / r2, x);
      shake = per_row((2 * step).sqrt(), x);
    }
    z = z + push * rows.data_gradient(z) + pull * (x - z) + shake * noise.normal_like(x);
  }
  return z;
}

// MALA, whose invariant law is q whatever the drift: that of the continued log density (noise_model.h). The
// step is kept, so that moves can be reversed.
Tensor LocalPosterior::metropolis(const LoopRows& rows, const Tensor& x, const Tensor& r2,
                                  Noise& noise) const {
  const Tensor start = x + per_row(r2.sqrt(), x) * noise.normal_like(x);
  const Tensor step = options_.inner_step / (norm_->at(rows, start) + 1 / r2), weight = per_row(1 / r2, x);
  const Target target = [&](const Tensor& z) -> LogDensity {
    const Tensor away = z - x;
    return {rows.log_likelihood(z) - 0.5 * row_dot(away, away) / r2, rows.data_gradient(z) - weight * away};
  };
  ChainState chain = start_chain(target, start);
  for (int64_t i = 0; i < options_.inner_steps; ++i) mala_move(target, chain, step, noise);
  return chain.x;
}

}  // namespace tweedie
