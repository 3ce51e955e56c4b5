// Principal component pursuit with missing entries. Candes, Li, Ma, Wright, "Robust principal component
// analysis?", JACM 58, 2011, section 1.6, by the alternating directions of Lin, Chen, Ma 2010:
//   min ||L||_* + g ||S||_1 where P (L + S) = P M:
//   L = D_{1/mu}(M - S + Y / mu);   S = soft_{g/mu}(M - L + Y / mu) on Omega, free elsewhere;
//   Y += mu (M - L - S).
// Elsewhere S takes up all of M - L, so that Y stays 0 there. mu grows while the constraint is far from met.

#include "completion/low_rank.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {
constexpr double growth = 1.05, most_growth = 1e4;
constexpr int64_t look_every = 10;
}  // namespace

Completion complete_robust(const CompletionTask& t) {
  const double g = t.weight, size = frobenius(t.m), first = 1.25 / t.norm2;
  const Tensor hidden = 1 - t.p;
  double mu = first;
  Tensor y = at::zeros_like(t.m), s = y, l;
  LowRank found;
  Completion result;
  // Y is a slope of ||L||_* at L and of g ||S||_1 at S.
  const auto kkt = [&] {
    const Tensor one = at::ones_like(found.s), active = t.p * s.ne(0);
    const double at_low_rank = stationarity(y, found, one, 1, t.svd);
    const double above = std::max(0.0, (t.p * y).abs().max().item<double>() / g - 1);
    const double on = (active * (y - g * s.sign())).abs().max().item<double>() / g;
    return std::max({at_low_rank, above, on, frobenius(t.p * (t.m - l - s)) / size});
  };
  for (int64_t k = 1; k <= t.options.iterations; ++k) {
    found = t.svd.shrink(t.m - s + y / mu, 1 / mu);
    const Tensor before = s;
    l = found.dense();
    const Tensor free = t.m - l + y / mu;
    s = free - t.p * free.clamp(-g / mu, g / mu);
    y = y + mu * (t.m - l - s);
    const double change = mu * frobenius(s - before) * t.norm2 / size;
    result.residual = std::max(frobenius(t.p * (t.m - l - s)), frobenius(t.p * (s - before))) / size;
    result.iterations = k;
    t.step_done(k);
    if (result.residual <= t.options.tolerance && (k % look_every == 0) &&
        kkt() <= 10 * t.options.tolerance) {
      result.converged = true;
      break;
    }
    // As long as the last step moved S little in terms of mu, a larger mu loses nothing.
    if (change < 1 && mu < most_growth * first) mu *= growth;
  }
  result.low_rank = l;
  result.sparse = t.p * s;
  result.singular_values = found.s;
  result.objective = found.s.sum().item<double>() + g * (t.p * s).abs().sum().item<double>();
  result.kkt_residual = kkt();
  return result;
}

}  // namespace tweedie
