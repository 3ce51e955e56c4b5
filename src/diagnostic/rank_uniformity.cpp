// Are ranks uniform? Over independent cases the counts of equal bins are multinomial, and Pearson's
// chi2 = sum (count - expected)^2 / expected is chi2 with bins - 1 degrees of freedom.

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "core/special.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int64_t least_in_a_bin = 5;  // expected

// The ends of the range hold more than the middle: a truth that often lies beyond all draws.
const char* shape_of(const Tensor& counts) {
  const int64_t bins = counts.size(0), outer = std::max<int64_t>(1, bins / 10);
  const double share = static_cast<double>(outer) / static_cast<double>(bins);
  const double low = counts.slice(0, 0, outer).sum().item<double>();
  const double high = counts.slice(0, bins - outer).sum().item<double>();
  const double expected = counts.sum().item<double>() * share;
  if (low > expected && high > expected) return "draws vary too little";
  if (low < expected && high < expected) return "draws vary too much";
  return low > high ? "draws are too large" : "draws are too small";
}

}  // namespace

bool enough_for_bins(int64_t cases, int64_t bins) {
  return cases >= least_in_a_bin * bins;
}

void require_bins(int64_t cases, int64_t draws, int64_t bins) {
  if (draws < 1) throw Error("calibrate.draws", fmt::format("{}: at least 1 is needed", draws));
  if (bins < 2 || (draws + 1) % bins != 0) {
    throw Error("calibrate.bins", fmt::format("{}, but {} draws give {} ranks, which bins must divide", bins,
                                              draws, draws + 1));
  }
  if (!enough_for_bins(cases, bins)) {
    throw Error("calibrate.simulations", fmt::format("{}, but {} bins need {} each, {} in all", cases, bins,
                                                     least_in_a_bin, least_in_a_bin * bins));
  }
}

RankHistogram rank_histogram(const Tensor& positions, int64_t draws, int64_t bins) {
  if (positions.dim() != 1) {
    throw Error("rank_histogram",
                fmt::format("positions {}; (cases) is meant", to_string(positions.sizes())));
  }
  require_bins(positions.size(0), draws, bins);
  const Tensor bin = ranks_of(positions, draws).floor_divide((draws + 1) / bins);
  RankHistogram h{at::bincount(bin, {}, bins).to(at::kDouble), 0, 1};
  const double expected = static_cast<double>(positions.size(0)) / static_cast<double>(bins);
  h.chi2 = (h.counts - expected).square().sum().item<double>() / expected;
  h.p_value = chi2_tail(h.chi2, static_cast<double>(bins - 1));
  return h;
}

Finding rank_uniformity(const Tensor& positions, int64_t draws, int64_t bins,
                        const std::vector<std::string>& names, const Significance& significance) {
  if (positions.dim() != 2 || positions.size(1) != static_cast<int64_t>(names.size()) || names.empty()) {
    throw Error("rank_uniformity", fmt::format("positions {} for {} statistics; (cases, statistics) is meant",
                                               to_string(positions.sizes()), names.size()));
  }
  Finding f{"rank-uniformity", Finding::Status::pass, 0, 1, "", ""};
  Tensor worst;
  std::string name;
  double smallest = INFINITY;
  for (size_t s = 0; s < names.size(); ++s) {
    const RankHistogram h = rank_histogram(positions.select(1, static_cast<int64_t>(s)), draws, bins);
    f.value = std::max(f.value, h.chi2 / static_cast<double>(bins - 1));
    if (h.p_value >= smallest) continue;
    smallest = h.p_value;
    worst = h.counts;
    name = names[s];
  }
  const double p = std::min(1.0, smallest * static_cast<double>(names.size()));
  f.p_value = p;
  f.message = fmt::format("ranks of {} statistics over {} problems: {} is the least uniform, p = {:.2g}",
                          names.size(), positions.size(0), name, p);
  if (p >= significance.warn_below) return f;
  f.status = p < significance.fail_below ? Finding::Status::fail : Finding::Status::warn;
  const bool coordinate = name.rfind("direction", 0) == 0;
  if (coordinate) f.message += std::string(": ") + shape_of(worst);
  f.remedy = "take more steps, or a method that is exact in the limit (mmps on near-Gaussian priors)";
  return f;
}

}  // namespace tweedie
