// Alternating directions (Boyd et al. 2011; Lin, Chen, Ma 2010 for the constraint) for
//   min 1/2 ||P (X - M)||_F^2 + w ||Z||_* where X = Z, or w = 0: min ||Z||_* where P X = P M, X = Z:
//   X = (P M + rho (Z - U)) / (P + rho), or P M + (1 - P) (Z - U);   Z = D_{c / rho}(X + U);   U += X - Z,
// c = w, or 1. rho is doubled or halved while the relative residuals differ fivefold, in the first
// iterations.

#include "completion/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {
constexpr int64_t tuned_iterations = 200, tune_every = 5, look_every = 10;
}  // namespace

Completion complete_admm(const CompletionTask& t) {
  const bool exact = t.weight == 0;
  const double c = exact ? 1 : t.weight;
  double rho = c / (0.3 * t.norm2);
  Tensor z = at::zeros_like(t.m), u = z, x;
  LowRank found;
  Completion result;
  // Minus the gradient of the rest at Z is the multiplier, rho U, on Omega; with a weight it is P (M - Z).
  const auto kkt = [&] {
    const Tensor slope = exact ? t.p * u * rho : t.m - t.p * z;
    const double condition = stationarity(slope, found, at::full_like(found.s, c), c, t.svd);
    return exact ? std::max(condition, frobenius(t.m - t.p * z) / frobenius(t.m)) : condition;
  };
  for (int64_t k = 1; k <= t.options.iterations; ++k) {
    const Tensor v = z - u;
    x = exact ? t.m + (1 - t.p) * v : (t.m + rho * v) / (t.p + rho);
    found = t.svd.shrink(x + u, c / rho);
    const Tensor before = z;
    z = found.dense();
    u = u + x - z;
    const double primal = frobenius(x - z) / std::max(frobenius(z), 1e-300);
    const double change = frobenius(z - before), dual = change / std::max(frobenius(u), 1e-300);
    result.residual = std::max(primal, change / std::max(frobenius(z), 1e-300));
    result.iterations = k;
    t.step_done(k);
    // At a small weight a small change of X is a large one of the conditions, so they have the last word.
    if (result.residual <= 0.01 * t.options.tolerance ||
        (k % look_every == 0 && result.residual <= t.options.tolerance && kkt() <= t.options.tolerance)) {
      result.converged = true;
      break;
    }
    if (k < tuned_iterations && k % tune_every == 0) {
      const double factor = primal > 5 * dual ? 2 : dual > 5 * primal ? 0.5 : 1;
      rho *= factor;
      u = u / factor;
    }
  }
  result.low_rank = z;
  result.singular_values = found.s;
  const double nuclear = found.s.sum().item<double>();
  result.objective = exact ? nuclear : 0.5 * std::pow(frobenius(t.m - t.p * z), 2) + t.weight * nuclear;
  result.kkt_residual = kkt();
  return result;
}

}  // namespace tweedie
