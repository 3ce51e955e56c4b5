// Maximum mean discrepancy (Gretton, Borgwardt, Rasch, Schoelkopf and Smola 2012, "A kernel two-sample test",
// lemma 6), with the mean of Gaussian kernels at several bandwidths around the median distance.

#include "diagnostic/permutation.h"
#include "diagnostic/samples.h"
#include "tweedie/error.h"
#include "tweedie/two_sample.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr const char* place = "mmd";

void check(const MmdOptions& options) {
  const auto positive = [](double h) { return h > 0 && std::isfinite(h); };
  if (options.bandwidth && !positive(*options.bandwidth)) {
    throw Error("mmd.bandwidth",
                fmt::format("{}, but a finite number above 0 is needed", *options.bandwidth));
  }
  if (options.factors.empty() || !std::all_of(options.factors.begin(), options.factors.end(), positive)) {
    throw Error("mmd.factors", "at least one, all finite and above 0, are needed");
  }
}

// Of all pairs of rows, from their distances (n, n)
double median_of_pairs(const Tensor& distance) {
  const Tensor above = at::ones_like(distance, at::kBool).triu(1);
  const double median = distance.masked_select(above).median().item<double>();
  if (median > 0) return median;
  throw Error("mmd.bandwidth",
              "half of all pairs of draws are equal, so that their median distance is no scale");
}

Tensor kernel(const Tensor& distance, const std::vector<double>& factors, double bandwidth) {
  Tensor sum = at::zeros_like(distance);
  for (const double factor : factors) sum += (-(distance / (factor * bandwidth)).square() / 2).exp();
  return sum / static_cast<double>(factors.size());
}

// From a part of both sets, each with as many draws
double median_bandwidth(const Rows& x, const Rows& y, uint64_t seed) {
  constexpr int64_t most = 1000;
  Noise noise = Noise(seed).stream(Stream::metric).stream(Stream::order);
  const Tensor pool = at::cat(
      {thinned(equal_weight_rows(x, noise), most, noise), thinned(equal_weight_rows(y, noise), most, noise)});
  return median_of_pairs(distances(pool, pool));
}

}  // namespace

double mmd_squared(const SampleSet& a, const SampleSet& b, const MmdOptions& options) {
  check(options);
  auto [x, y] = rows_of(a, b, place, 2);
  const Tensor centre = (x.x.mean(0) + y.x.mean(0)) / 2;
  x.x = x.x - centre;
  y.x = y.x - centre;
  const double bandwidth = options.bandwidth ? *options.bandwidth : median_bandwidth(x, y, options.seed);
  const auto k = [&](const Tensor& distance) { return kernel(distance, options.factors, bandwidth); };
  // Without the pairs (i, i), where k = 1, the weights of the others sum to 1 - sum w^2.
  const auto within = [&](const Rows& r) {
    const double own = 1 / r.ess;
    if (own >= 1) throw Error(place, "all the weight is on one draw; at least two are needed");
    return (weighted_sum(r.x, r.weight, r.x, r.weight, k) - own) / (1 - own);
  };
  return within(x) + within(y) - 2 * weighted_sum(x.x, x.weight, y.x, y.weight, k);
}

double mmd_p_value(const SampleSet& a, const SampleSet& b, const MmdOptions& options,
                   const PermutationOptions& permutation) {
  check(options);
  const auto k = [&](const Tensor& distance) {
    return kernel(distance, options.factors,
                  options.bandwidth ? *options.bandwidth : median_of_pairs(distance));
  };
  return permutation_p_value(a, b, permutation, k, place);
}

}  // namespace tweedie
