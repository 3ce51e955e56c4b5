// The central interval of level c holds a truth at position u when |u - 1/2| <= c/2. Over n independent cases
// the number that are held is binomial(n, c), exactly, since positions are uniform for any number of draws.

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "core/special.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

std::vector<IntervalCoverage> interval_coverage(const Tensor& positions, const std::vector<double>& levels) {
  if (positions.dim() != 1 || positions.size(0) == 0) {
    throw Error("interval_coverage",
                fmt::format("positions {}; (cases) is meant", to_string(positions.sizes())));
  }
  const double n = static_cast<double>(positions.size(0));
  const Tensor distance = 2 * (positions - 0.5).abs();
  std::vector<IntervalCoverage> result;
  for (const double level : levels) {
    if (!(level > 0 && level < 1))
      throw Error("interval_coverage.levels", fmt::format("{}, not between 0 and 1", level));
    const double held = (distance <= level).sum().item<double>();
    result.push_back({level, held / n, std::sqrt(level * (1 - level) / n), binomial_p_value(held, n, level)});
  }
  return result;
}

Finding central_coverage(const Tensor& positions, const std::vector<std::string>& names,
                         const Significance& significance) {
  const std::vector<double> levels = {0.5, 0.8, 0.9, 0.95};
  if (positions.dim() != 2 || positions.size(1) != static_cast<int64_t>(names.size()) || names.empty()) {
    throw Error("central_coverage",
                fmt::format("positions {} for {} statistics; (cases, statistics) is meant",
                            to_string(positions.sizes()), names.size()));
  }
  Finding f{"central-coverage", Finding::Status::pass, 0.9, 1, "", ""};
  IntervalCoverage worst{0, 0, 0, INFINITY};
  std::string name;
  for (size_t s = 0; s < names.size(); ++s) {
    for (const IntervalCoverage& c :
         interval_coverage(positions.select(1, static_cast<int64_t>(s)), levels)) {
      if (c.level == 0.9 && std::abs(c.coverage - 0.9) >= std::abs(f.value - 0.9)) f.value = c.coverage;
      if (c.p_value >= worst.p_value) continue;
      worst = c;
      name = names[s];
    }
  }
  const double p = std::min(1.0, worst.p_value * static_cast<double>(names.size() * levels.size()));
  f.p_value = p;
  f.message =
      fmt::format("{:.3g}% intervals of {} hold {:.3g}% of the truths (standard error {:.2g}%), p = {:.2g}",
                  100 * worst.level, name, 100 * worst.coverage, 100 * worst.standard_error, p);
  if (p >= significance.warn_below) return f;
  const bool narrow = worst.coverage < worst.level;
  f.status = p < significance.fail_below ? Finding::Status::fail : Finding::Status::warn;
  f.message += narrow ? ": draws vary too little or are off" : ": draws vary too much";
  f.remedy = narrow ? "use mmps, or take more steps" : "take more steps";
  return f;
}

}  // namespace tweedie
