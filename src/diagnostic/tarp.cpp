// Tests of accuracy with random points, Lemos et al. 2023, algorithm 2: of the balls about a reference point
// that hold the share 1 - alpha of the draws, 1 - alpha hold the truth. The share of draws nearer than the
// truth is the position of its distance, uniform for exact draws, so that the curve is an empirical
// distribution function: its largest distance from the diagonal is Kolmogorov's statistic, and its
// simultaneous band that of Dvoretzky, Kiefer, Wolfowitz and Massart, P(sup |F_n - F| > e) <= 2 exp(-2 n
// e^2).

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "core/special.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

ExpectedCoverage expected_coverage(const Tensor& positions, int64_t levels) {
  if (positions.dim() != 1 || positions.size(0) == 0 || levels < 2) {
    throw Error("expected_coverage",
                fmt::format("positions {} at {} levels; (cases) and at least 2 are meant",
                            to_string(positions.sizes()), levels));
  }
  const int64_t count = positions.size(0);
  const double n = static_cast<double>(count);
  const Tensor sorted = std::get<0>(positions.to(at::kDouble).sort()).contiguous();
  ExpectedCoverage curve;
  curve.level = at::linspace(0, 1, levels, at::kDouble);
  curve.coverage = at::searchsorted(sorted, curve.level, false, true).to(at::kDouble) / n;
  const Tensor step =
      at::arange(count + 1, at::kDouble) / n;  // the curve just before and after each position
  curve.deviation = std::max((sorted - step.slice(0, 0, count)).abs().max().item<double>(),
                             (sorted - step.slice(0, 1)).abs().max().item<double>());
  curve.p_value = kolmogorov_p_value(curve.deviation, n);
  curve.band = std::sqrt(std::log(2 / 0.05) / (2 * n));
  return curve;
}

Finding tarp(const Tensor& positions, const Significance& significance) {
  const ExpectedCoverage curve = expected_coverage(positions);
  Finding f{"tarp", Finding::Status::pass, curve.deviation, curve.p_value, "", ""};
  f.message = fmt::format(
      "expected coverage is off by at most {:.2g} ({:.2g} is 95% of what chance does), p = {:.2g}",
      curve.deviation, curve.band, curve.p_value);
  if (curve.p_value >= significance.warn_below) return f;
  f.status = curve.p_value < significance.fail_below ? Finding::Status::fail : Finding::Status::warn;
  f.message += ": the draws do not lie as the truth does";
  f.remedy = "take more steps, or another method";
  return f;
}

}  // namespace tweedie
