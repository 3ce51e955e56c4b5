// Do the draws vary along the measured directions as much as the noise allows? Three standards, the first two
// for those who know the prior; in units of noise_std^2 let V be the mean over coordinates of the variance of
// A x given y.
//
// 1. Known posterior variance v: V / v, where (n - 1) V / v summed over cases is chi2 with n - 1 degrees of
// freedom a
//    case, were all coordinates of a case copies of one (the widest possible law at equal v).
// 2. Gaussian prior with variances lambda_i of (A x)_i, whose correlations are unknown. If S is the prior
// covariance of
//    A x, in its eigenbasis tr V = sum s_k / (s_k + 1) >= tr S / (tr S + 1): neighbours inform, at most as if
//    all measurements were of one number. The test is as in 1; for m = 1 the bound is the exact variance.
// 3. Any prior. Over problems the truth has E|y - A x|^2 = m, hence R + V = 1 with R the mean square residual
// of the
//    posterior mean: what the fit takes from the residual, the draws must put back. V is compared with 1 - R.
//    R + V is the mean residual of the draws, whose lower tail is chi2 (see data_consistency.cpp).

#include "tweedie/diagnostics.h"

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double collapsed = 0.5;  // fails below this ratio

struct Standard {
  double ratio, p_value;
  const char* of;
};

// variance, expected: (cases), totals over coordinates. p-value of "the ratio is at least `collapsed`"; cases
// of unequal variance count as fewer equal ones.
Standard against(const Tensor& variance, const Tensor& expected, int64_t draws, const char* of) {
  const double sum = expected.sum().item<double>();
  const double ratio = variance.sum().item<double>() / sum;
  const double freedom = static_cast<double>(draws - 1) * sum * sum / expected.square().sum().item<double>();
  return {ratio, chi2_cdf(freedom * ratio / collapsed, freedom), of};
}

Standard against_residual(const Tensor& residual,
                          const Tensor& variance) {  // (n, cases, m), (cases, m); noise_std 1
  const double n = static_cast<double>(residual.size(0)), m = static_cast<double>(variance.numel());
  const double v = variance.mean().item<double>();
  const double r = residual.mean(0).square().mean().item<double>() - v / n;
  double mean_p = 0;
  for (const Tensor& one : residual.square().sum({1, 2}).unbind())
    mean_p += chi2_cdf(one.item<double>(), m) / n;
  // Where the posterior mean misses y by more than the noise, other checks have the word.
  return {r < 1 ? v / (1 - r) : 1, std::min(1.0, 2 * mean_p), "what their fit to y leaves room for"};
}

Tensor in_noise_units(const Tensor& variance, const Tensor& y, double noise_std, const std::string& place) {
  if (variance.sizes() != y.sizes() && variance.sizes() != y.sizes().slice(1)) {
    throw Error(place, fmt::format("shape {}, but {} or {} is meant", to_string(variance.sizes()),
                                   to_string(y.sizes()), to_string(y.sizes().slice(1))));
  }
  require_finite(variance, place);
  if (!(variance.min().item<double>() > 0)) {
    throw Error(place, fmt::format("{}, but variances are positive", variance.min().item<double>()));
  }
  return variance.to(at::kCPU, at::kDouble).expand(y.sizes()) / (noise_std * noise_std);
}

}  // namespace

Finding variance_collapse(const Tensor& ax, const Tensor& y, double noise_std, const MeasuredVariance& known,
                          const Significance& significance) {
  constexpr const char* place = "variance_collapse";
  if (ax.dim() != 3 || y.dim() != 2 || ax.sizes().slice(1) != y.sizes() || ax.numel() == 0) {
    throw Error(place, fmt::format("A x {} and y {}; (draws, cases, m) and (cases, m) are meant",
                                   to_string(ax.sizes()), to_string(y.sizes())));
  }
  if (!(noise_std > 0) || !std::isfinite(noise_std)) {
    throw Error("variance_collapse.noise_std", fmt::format("{}, but a positive number is meant", noise_std));
  }
  Finding f{"variance-collapse", Finding::Status::skipped,   NAN,
            std::nullopt,        "one draw has no variance", "take more draws"};
  const int64_t n = ax.size(0);
  if (n < 2) return f;
  const Tensor residual = (flat_rows(y, "variance_collapse.y") -
                           flat_rows(ax, "variance_collapse.ax").reshape({n, y.size(0), -1})) /
                          noise_std;
  const Tensor variance = residual.var(0, true);  // (cases, m)

  std::vector<Standard> standards;
  if (known.posterior.defined()) {
    const Tensor v = in_noise_units(known.posterior, y, noise_std, "variance_collapse.posterior");
    standards.push_back(against(variance.sum(1), v.sum(1), n, "the posterior's"));
  } else if (known.prior.defined()) {
    const Tensor s = in_noise_units(known.prior, y, noise_std, "variance_collapse.prior").sum(1);
    standards.push_back(against(variance.sum(1), s / (s + 1), n, "the least that the prior allows"));
  }
  standards.push_back(against_residual(residual, variance));

  const Standard* shown = &standards[0];
  for (const Standard& s : standards) {
    if (s.ratio < collapsed && s.p_value < shown->p_value) shown = &s;
  }
  const double p = std::min(1.0, static_cast<double>(standards.size()) * shown->p_value);
  f.value = shown->ratio;
  f.p_value = p;
  f.message = fmt::format("variance along the measured directions is {:.3g} of {}, p = {:.2g}", f.value,
                          shown->of, p);
  f.status = f.value >= collapsed || p >= significance.warn_below ? Finding::Status::pass
             : p >= significance.fail_below                       ? Finding::Status::warn
                                                                  : Finding::Status::fail;
  f.remedy = "";
  if (f.status != Finding::Status::pass) {
    f.message += ": the draws have collapsed";
    f.remedy = "use mmps, which keeps the prior's covariance, or check that the noise std is not overstated";
  }
  return f;
}

}  // namespace tweedie
