// Do the intervals hold the truth as often as they claim?
//
// Given y, n exact draws and the truth are n + 1 exchangeable points. With t the depth of the truth in one
// coordinate, the smaller of #{draws <= truth} and #{draws >= truth}, the truth is in [x_(k), x_(n+1-k)] when
// t >= k, which has probability 1 - 2k/(n + 1) for a continuous law. For h = (n + 1)(1 - level)/2 between two
// integers the coverages of both are interpolated, which is min(max(t - h + 1, 0), 1).
//
// The null law needs no assumption on how coordinates depend: had any other of the n + 1 points of a case
// been the truth, the fraction of covered coordinates would be c_e, and every e is equally likely. Their mean
// and variance are the exact ones of the case, ties included, and cases are independent, so that sums of
// bounded variables with known variance obey the bounds of Chebyshev and Bernstein. Weights replace "equally
// likely" by "in proportion".

#include "tweedie/diagnostics.h"

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// points (n + 1, J), the truth first; weight (n + 1), the truth's is 1. Depth of each point among the others,
// scaled so that the others count as n_e, the total less the truth.
Tensor depths(const Tensor& points, const Tensor& weight) {
  const Tensor rows = points.t().contiguous();  // (J, n + 1)
  const auto [sorted, order] = rows.sort(-1);
  const Tensor cumulative =
      at::cat({at::zeros({rows.size(0), 1}, rows.options()), weight.index({order}).cumsum(-1)}, 1);
  const Tensor values = sorted.contiguous();
  const Tensor up_to = cumulative.gather(1, at::searchsorted(values, rows, false, true)) - weight;
  const Tensor below = cumulative.gather(1, at::searchsorted(values, rows));
  const Tensor total = weight.sum();
  const Tensor others = total - weight;
  return at::minimum(up_to, others - below) * ((total - 1) / others);
}

// What one level adds up to over cases, each weighted by its share of the coordinates.
struct Sums {
  double level = 0, coverage = 0, expected = 0;
  double variance = 0, largest = 0;  // of the n + 1 points' deviations
  double predictive = 0;             // variance of the truth's fraction as the draws alone foretell it
};

void add_case(Sums& sums, double asked, const Tensor& depth, const Tensor& weight, double share) {
  const double n_e = weight.sum().item<double>() - 1;
  const double h = std::max(1.0, (n_e + 1) * (1 - asked) / 2);
  const Tensor fraction = (depth - h + 1).clamp(0, 1).mean(0);  // (n + 1)
  const Tensor likely = weight / weight.sum();
  const double mean = likely.dot(fraction).item<double>();
  const Tensor deviation = fraction - mean;
  sums.level += share * (1 - 2 * h / (n_e + 1));
  sums.coverage += share * fraction[0].item<double>();
  sums.expected += share * mean;
  sums.variance += share * share * likely.dot(deviation.square()).item<double>();
  const Tensor of_draws = likely.slice(0, 1) / likely.slice(0, 1).sum();
  const Tensor from_draws = fraction.slice(0, 1) - of_draws.dot(fraction.slice(0, 1));
  const double spread = of_draws.dot(from_draws.square()).item<double>();
  const double binomial = mean * (1 - mean) / static_cast<double>(depth.size(0));
  if (n_e > 1) sums.predictive += share * share * std::max(spread * (n_e + 1) / (n_e - 1), binomial);
  sums.largest = std::max(sums.largest, share * deviation.abs().max().item<double>());
}

double two_sided_bound(double deviation, double variance, double largest) {
  const double s = std::abs(deviation);
  if (s <= 1e-12) return 1;
  const double chebyshev = variance / (s * s);
  const double bernstein = 2 * std::exp(-s * s / (2 * (variance + largest * s / 3)));
  return std::min({1.0, chebyshev, bernstein});
}

}  // namespace

std::vector<CoverageLevel> measure_coverage(const Tensor& draws, const Tensor& truth,
                                            const CoverageOptions& options) {
  constexpr const char* place = "coverage";
  if (draws.dim() < 2 || truth.dim() < 1 || draws.sizes().slice(1) != truth.sizes() || draws.numel() == 0) {
    throw Error(place,
                fmt::format("draws {} and truth {}; (draws, cases, *shape) and (cases, *shape) are meant",
                            to_string(draws.sizes()), to_string(truth.sizes())));
  }
  for (double level : options.levels) {
    if (!(level > 0 && level < 1))
      throw Error("coverage.levels", fmt::format("{}, not between 0 and 1", level));
  }
  const int64_t n = draws.size(0), cases = draws.size(1);
  const Tensor x = flat_rows(draws, "coverage.draws").reshape({n, cases, -1});
  const Tensor x0 = flat_rows(truth, "coverage.truth");
  const Tensor mask = options.mask.defined()
                          ? options.mask.to(at::kCPU, at::kBool).expand(truth.sizes()).reshape({cases, -1})
                          : at::ones_like(x0, at::kBool);
  const double counted = mask.sum().item<double>();
  if (counted == 0) throw Error("coverage.mask", "no coordinate is left");
  Tensor weights = at::ones({cases, n}, at::kDouble);  // n_e times the normalised weights of each case
  if (options.log_weight.defined()) {
    const Tensor& log_w = options.log_weight;
    if (log_w.dim() > 2 || log_w.dim() < 1 || log_w.size(0) != n ||
        (log_w.dim() == 2 && log_w.size(1) != cases)) {
      throw Error("coverage.log_weight", fmt::format("shape {}, but ({},) or ({}, {}) is meant",
                                                     to_string(log_w.sizes()), n, n, cases));
    }
    for (int64_t c = 0; c < cases; ++c) {
      const Tensor w = normalised(log_w.dim() == 2 ? log_w.select(1, c) : log_w, "coverage.log_weight");
      weights[c] = w / w.square().sum();
    }
  }

  std::vector<Sums> sums(options.levels.size());
  for (int64_t c = 0; c < cases; ++c) {
    const Tensor kept = mask[c].nonzero().squeeze(1);
    if (kept.numel() == 0) continue;
    const Tensor points = at::cat({x0[c].unsqueeze(0), x.select(1, c)}).index_select(1, kept);
    const Tensor weight = at::cat({at::ones({1}, at::kDouble), weights[c]});
    const Tensor depth = depths(points, weight);  // (J, n + 1)
    const double share = static_cast<double>(kept.numel()) / counted;
    for (size_t l = 0; l < sums.size(); ++l) add_case(sums[l], options.levels[l], depth, weight, share);
  }
  std::vector<CoverageLevel> result;
  for (size_t l = 0; l < sums.size(); ++l) {
    const Sums& s = sums[l];
    result.push_back({options.levels[l], s.level, s.coverage, s.expected, std::sqrt(s.predictive),
                      two_sided_bound(s.coverage - s.expected, s.variance, s.largest)});
  }
  return result;
}

Finding coverage(const std::vector<CoverageLevel>& levels, const Significance& significance) {
  constexpr double tolerance = 0.1;
  Finding f{"coverage", Finding::Status::skipped, NAN, std::nullopt, "no level to check", ""};
  if (levels.empty()) return f;
  if (std::all_of(levels.begin(), levels.end(), [](const auto& l) { return l.level <= 0; })) {
    f.message = "one draw makes no interval";
    f.remedy = "take more draws";
    return f;
  }
  const CoverageLevel* nearest = &levels[0];
  const CoverageLevel* worst = &levels[0];
  std::vector<std::string> asked, found, errors;
  double smallest_p = 1;
  for (const CoverageLevel& l : levels) {
    if (std::abs(l.asked - 0.9) < std::abs(nearest->asked - 0.9)) nearest = &l;
    if (std::abs(l.coverage - l.expected) > std::abs(worst->coverage - worst->expected)) worst = &l;
    smallest_p = std::min(smallest_p, l.p_value);
    const bool reached = l.level > l.asked - 1e-9;
    asked.push_back(
        reached ? fmt::format("{:.3g}", 100 * l.asked)
                : fmt::format("{:.3g} (at most {:.3g} from so few draws)", 100 * l.asked, 100 * l.level));
    found.push_back(fmt::format("{:.3g}", 100 * l.coverage));
    errors.push_back(fmt::format("{:.2g}", 100 * l.standard_error));
  }
  const double p = std::min(1.0, smallest_p * static_cast<double>(levels.size()));
  f.status = Finding::Status::pass;
  f.value = nearest->coverage;
  f.p_value = p;
  f.message = fmt::format("{}% intervals cover {}% of the truth (standard errors {}%), p = {:.2g}",
                          fmt::join(asked, "/"), fmt::join(found, "/"), fmt::join(errors, "/"), p);

  const auto off = [](const CoverageLevel& l) { return std::abs(l.coverage - l.expected); };
  const bool severe = std::any_of(levels.begin(), levels.end(), [&](const CoverageLevel& l) {
    return off(l) > tolerance && l.p_value * static_cast<double>(levels.size()) < significance.fail_below;
  });
  const bool suspect = std::any_of(levels.begin(), levels.end(), [&](const CoverageLevel& l) {
    return off(l) > tolerance && off(l) > 4 * l.standard_error;
  });
  if (!severe && !suspect && p >= significance.warn_below) return f;
  const bool narrow = worst->coverage < worst->expected;
  f.status = severe ? Finding::Status::fail : Finding::Status::warn;
  f.message += narrow ? ": draws vary too little or are off" : ": draws vary too much";
  f.remedy = narrow ? "use mmps, take more steps, or train the prior for longer"
                    : "take more steps, or check that the noise std is not overstated";
  return f;
}

Finding coverage(const Tensor& draws, const Tensor& truth, const CoverageOptions& options,
                 const Significance& significance) {
  return coverage(measure_coverage(draws, truth, options), significance);
}

}  // namespace tweedie
