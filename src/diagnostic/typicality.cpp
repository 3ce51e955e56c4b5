// Is x like the rows that the prior was learned from?
//
// A prior denoises what it knows better than what it does not. The profile of a row x is
//   l_k = ln |D(x + s_k n; s_k) - x|^2,  n ~ N(0, I), at noise levels s_1, ..., s_K:
// texture is decided at the small ones, anatomy at the large. Let x and the reference rows be of the prior's
// law, and x' ~ p(x | y): x' is of that law, too. So the profiles of x' and of n reference rows are
// exchangeable, and among all n + 1 the rank of the Mahalanobis distance
//   T_j = (l_j - m)^T S^-1 (l_j - m) / K,   m and S of the n others,
// is uniform. Each case has reference rows of its own, so that the ranks of C independent cases are. A prior
// that knows the reference rows by heart finds all others less typical.

#include "tweedie/typicality.h"

#include "core/shape.h"
#include "diagnostic/rank_sum.h"
#include "diagnostic/samples.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// T_j, profiles: (n + 1, K). By the formulas of a rank-one change from the mean and scatter of all: with d^2
// the distance there, in units of the scatter, the one from the others is d^2 / (1 - a d^2) up to a factor, a
// = (n + 1) / n.
Tensor distances_from_others(const Tensor& profiles) {
  const auto n = static_cast<double>(profiles.size(0) - 1), k = static_cast<double>(profiles.size(1));
  const Tensor centred = profiles - profiles.mean(0);
  Tensor scatter = centred.t().mm(centred);
  scatter.diagonal().add_(1e-9 * scatter.trace() / k + 1e-300);
  const Tensor d2 = (at::linalg_solve(scatter, centred.t(), true) * centred.t()).sum(0);
  const double a = (n + 1) / n;
  return (n - 1) / k * a * a * d2 / (1 - a * d2).clamp_min(1e-12);
}

}  // namespace

Tensor denoising_profile(const Denoiser& denoiser, const Tensor& x, const std::vector<double>& levels,
                         Noise noise) {
  const at::NoGradGuard no_grad;
  require_batch_of(x, denoiser.shape(), "typicality.x");
  std::vector<Tensor> result;
  for (const double sigma : levels) {
    const Tensor denoised = denoiser.mean(x + sigma * noise.normal_like(x), sigma);
    result.push_back((denoised - x).to(at::kDouble).square().flatten(1).sum(1).clamp_min(1e-300).log());
  }
  return at::stack(result, 1);
}

Finding typicality(const Tensor& drawn, const Tensor& reference, const Significance& significance) {
  constexpr double tolerance = 4;
  if (reference.dim() != 3 || drawn.sizes() != reference.sizes().slice(1) || drawn.numel() == 0) {
    throw Error(
        "typicality",
        fmt::format(
            "{} of draws and {} of reference rows; (cases, levels) and (rows, cases, levels) are meant",
            to_string(drawn.sizes()), to_string(reference.sizes())));
  }
  const int64_t n = reference.size(0), cases = drawn.size(0);
  Finding f{"typicality",
            Finding::Status::skipped,
            NAN,
            std::nullopt,
            fmt::format("{} reference rows for each of {} cases can show nothing", n, cases),
            fmt::format("give more reference rows: {} a case, 999 for one", least_reference_rows)};
  const bool significant =
      std::pow(static_cast<double>(n + 1), -static_cast<double>(cases)) < significance.warn_below;
  if (n < least_reference_rows || !significant) return f;
  const Tensor all = at::cat({drawn.unsqueeze(0), reference}).to(at::kDouble);
  if (!all.isfinite().all().item<bool>()) throw Error("typicality", "a profile is not finite");
  double of_draws = 0, expected = 0, below = 0;
  for (int64_t c = 0; c < cases; ++c) {
    const Tensor t = distances_from_others(all.select(1, c)), others = t.slice(0, 1);
    of_draws += t[0].item<double>();
    expected += others.median().item<double>();
    below += (others.lt(t[0]).sum() + 0.5 * others.eq(t[0]).sum()).item<double>();
  }
  const double p = rank_sum_tails(below, n, cases).upper;
  f.value = expected > 0 ? of_draws / expected : of_draws > 0 ? INFINITY : 1;
  f.p_value = p;
  f.message = fmt::format(
      "denoising errors of draws are {:.3g} times as far from those of the reference rows as these among "
      "themselves, p = {:.2g}",
      f.value, p);
  const bool large = f.value > tolerance;
  f.status = large && p < significance.fail_below   ? Finding::Status::fail
             : large && p < significance.warn_below ? Finding::Status::warn
                                                    : Finding::Status::pass;
  f.remedy = "";
  if (f.status != Finding::Status::pass) {
    f.message += ": x is not like these rows, or draws are not";
    f.remedy = "take a prior learned from data that are like x or more steps, and check operator and noise";
  }
  return f;
}

}  // namespace tweedie
