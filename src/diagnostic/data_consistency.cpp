// Do the draws explain the measurement as well as the truth does, and no better?
//
// Let x ~ p(x), y = A x + noise_std w, x' ~ p(x | y). Then (x', y) has the law of (x, y), so that T = |y - A
// x'|^2 / noise_std^2 is chi2_m over problems, although x' was chosen to fit y. Problems are independent: the
// sum over C cases of one draw each is chi2_{mC}, and its two-sided p-value uniform. The p-values p_1, ...,
// p_n of n draws share their y and depend on each other in an unknown way; twice their mean is a p-value
// whatever the dependence (Rueschendorf 1982; Vovk and Wang 2020).

#include "tweedie/diagnostics.h"

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

Finding data_consistency(const Tensor& residual_chi2, int64_t measurements,
                         const Significance& significance) {
  constexpr double tolerance = 1.25;
  const Tensor residual = flat_rows(residual_chi2, "data_consistency.residual_chi2");
  const int64_t draws = residual.size(0), cases = residual.size(1);
  if (residual.numel() == 0 || measurements < 1 || residual.min().item<double>() < 0) {
    throw Error("data_consistency",
                fmt::format("residuals of shape {} from {} measurements; at least one of each, "
                            "none negative, is meant",
                            to_string(residual_chi2.sizes()), measurements));
  }
  const double m = static_cast<double>(measurements), freedom = m * static_cast<double>(cases);
  const Tensor total = residual.sum(1) * m;
  double mean_p = 0;
  for (int64_t k = 0; k < draws; ++k) {
    const double t = total[k].item<double>();
    mean_p += 2 * std::min(chi2_cdf(t, freedom), chi2_tail(t, freedom)) / static_cast<double>(draws);
  }
  const double p = std::min(1.0, 2 * mean_p), value = residual.mean().item<double>();

  Finding f{"data-consistency", Finding::Status::pass, value, p, "", ""};
  f.message =
      fmt::format("residual chi2 is {:.3g} per measurement ({:.3g} to {:.3g} expected), p = {:.2g}", value,
                  std::max(0.0, 1 - 2 * std::sqrt(2 / freedom)), 1 + 2 * std::sqrt(2 / freedom), p);
  if (p >= significance.warn_below) return f;
  const bool severe = p < significance.fail_below && (value > tolerance || value < 1 / tolerance);
  f.status = severe ? Finding::Status::fail : Finding::Status::warn;
  f.message += value > 1 ? ": draws ignore part of the measurement" : ": draws fit the noise";
  f.remedy = value > 1 ? "take more steps or another method (mmps), and check operator, noise std and prior"
                       : "take more steps (coarse ones lose variance) or mmps in place of dps, or check that "
                         "the noise std is not overstated";
  return f;
}

}  // namespace tweedie
