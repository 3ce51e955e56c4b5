// Sinkhorn divergence (Feydy, Sejourne, Vialard, Amari, Trouve and Peyre 2019, "Interpolating between optimal
// transport and MMD using Sinkhorn divergences"). For c_ij = |x_i - y_j|^2,
//   OT(a, b) = min over plans P of  <P, c> + epsilon KL(P | a b^T)  =  max  <a, f> + <b, g>
// at the fixed point  f = T_b g,  g = T_a f  of
//   (T_b g)_i = -epsilon log sum_j b_j exp((g_j - c_ij) / epsilon).
// One half step makes one marginal of P_ij = a_i b_j exp((f_i + g_j - c_ij) / epsilon) exact, so that after
// it <a, f> + <b, g> is a lower bound of OT(a, b). Epsilon falls to its value from the largest cost, by
// halves.

#include "tweedie/transport.h"

#include "diagnostic/samples.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr const char* place = "sinkhorn";

struct Solution {
  double value, marginal_error;
  int64_t iterations;
};

// T of the potential g under the weights exp(log_b): c (n, m) -> (n)
Tensor soft_minimum(const Tensor& c, const Tensor& g, const Tensor& log_b, double epsilon) {
  constexpr int64_t block_rows = 256;
  const Tensor exponent = g / epsilon + log_b;
  std::vector<Tensor> parts;
  for (const Tensor& rows : c.split(block_rows)) {
    parts.push_back(-epsilon * at::logsumexp(exponent - rows / epsilon, {1}));
  }
  return at::cat(parts);
}

double next_epsilon(double now, double last) {
  return std::max(now / 2, last);
}

Solution solve(const Tensor& c, const Rows& a, const Rows& b, double epsilon,
               const SinkhornOptions& options) {
  const Tensor log_a = a.weight.log(), log_b = b.weight.log(), transposed = c.t().contiguous();
  Tensor f, g = at::zeros({b.n()}, at::kDouble);
  for (double e = std::max(c.max().item<double>(), epsilon); e > epsilon; e = next_epsilon(e, epsilon)) {
    f = soft_minimum(c, g, log_b, e);
    g = soft_minimum(transposed, f, log_a, e);
  }
  Solution result{0, INFINITY, 0};
  f = soft_minimum(c, g, log_b, epsilon);
  while (true) {
    // The columns' sums are exact after the step for g, and row i is off by exp((f_i - (T g)_i) / epsilon).
    g = soft_minimum(transposed, f, log_a, epsilon);
    const Tensor next = soft_minimum(c, g, log_b, epsilon);
    ++result.iterations;
    result.marginal_error = a.weight.dot((((f - next) / epsilon).exp() - 1).abs()).item<double>();
    f = next;
    if (result.marginal_error <= options.tolerance || result.iterations >= options.max_iterations) break;
  }
  result.value = (a.weight.dot(f) + b.weight.dot(g)).item<double>();
  return result;
}

// OT(a, a) by f <- (f + T f) / 2, which converges in a few steps.
Solution solve_within(const Tensor& c, const Rows& a, double epsilon, const SinkhornOptions& options) {
  const Tensor log_a = a.weight.log();
  Tensor f = at::zeros({a.n()}, at::kDouble);
  for (double e = std::max(c.max().item<double>(), epsilon); e > epsilon; e = next_epsilon(e, epsilon)) {
    f = (f + soft_minimum(c, f, log_a, e)) / 2;
  }
  Solution result{0, INFINITY, 0};
  while (true) {
    const Tensor next = soft_minimum(c, f, log_a, epsilon);
    ++result.iterations;
    result.marginal_error = a.weight.dot((((f - next) / epsilon).exp() - 1).abs()).item<double>();
    result.value = a.weight.dot(f + next).item<double>();
    if (result.marginal_error <= options.tolerance || result.iterations >= options.max_iterations) break;
    f = (f + next) / 2;
  }
  return result;
}

// The rows with some weight: the others have no part in any plan.
Rows with_mass(Rows rows) {
  if (!rows.weighted) return rows;
  const Tensor kept = rows.weight > 0;
  rows.x = rows.x.index({kept});
  rows.weight = rows.weight.index({kept});
  return rows;
}

}  // namespace

SinkhornDivergence sinkhorn_divergence(const SampleSet& a, const SampleSet& b,
                                       const SinkhornOptions& options) {
  if (!(options.epsilon > 0) || !std::isfinite(options.epsilon)) {
    throw Error("sinkhorn.epsilon",
                fmt::format("{}, but a finite number above 0 is needed", options.epsilon));
  }
  if (options.max_iterations < 1 || !(options.tolerance > 0)) {
    throw Error(place, fmt::format("{} iterations to a tolerance of {}; at least 1 and above 0 are needed",
                                   options.max_iterations, options.tolerance));
  }
  auto [x, y] = rows_of(a, b, place);
  require_at_most(transport_max_rows, x, place);
  require_at_most(transport_max_rows, y, place);
  const Tensor centre = (x.x.mean(0) + y.x.mean(0)) / 2;
  x.x = x.x - centre;
  y.x = y.x - centre;
  x = with_mass(x);
  y = with_mass(y);

  const auto costs = [](const Rows& u, const Rows& v) { return distances(u.x, v.x).square(); };
  Tensor c = costs(x, y);
  const double mean = x.weight.dot(c.matmul(y.weight)).item<double>();
  if (mean == 0) return {0, 0, 0, 0, true};  // all draws of both sets are one point
  const double epsilon = options.epsilon * mean;
  const Solution between = solve(c, x, y, epsilon, options);
  c = costs(x, x);
  const Solution within_a = solve_within(c, x, epsilon, options);
  c = costs(y, y);
  const Solution within_b = solve_within(c, y, epsilon, options);

  SinkhornDivergence result;
  result.divergence = between.value - within_a.value / 2 - within_b.value / 2;
  result.epsilon = epsilon;
  result.iterations = std::max({between.iterations, within_a.iterations, within_b.iterations});
  result.marginal_error =
      std::max({between.marginal_error, within_a.marginal_error, within_b.marginal_error});
  result.converged = result.marginal_error <= options.tolerance;
  return result;
}

}  // namespace tweedie
