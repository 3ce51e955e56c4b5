// Energy distance (Szekely and Rizzo 2013) from weighted sums of distances, taken block by block. It is the
// MMD^2 of the kernel -|x - y|.

#include "tweedie/metrics.h"

#include "diagnostic/permutation.h"
#include "diagnostic/samples.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

double energy_distance(const SampleSet& a, const SampleSet& b, bool unbiased) {
  auto [x, y] = rows_of(a, b, "energy_distance", unbiased ? 2 : 1);
  const Tensor centre = (x.x.mean(0) + y.x.mean(0)) / 2;
  x.x = x.x - centre;
  y.x = y.x - centre;
  const auto itself = [](const Tensor& distance) { return distance; };
  // Without the pairs (i, i), whose distance is 0, the weights of the others sum to 1 - sum w^2.
  const auto within = [&](const Rows& r) {
    const double share = unbiased ? 1 - 1 / r.ess : 1;
    if (share <= 0) throw Error("energy_distance", "all the weight is on one draw; at least two are needed");
    return weighted_sum(r.x, r.weight, r.x, r.weight, itself) / share;
  };
  return 2 * weighted_sum(x.x, x.weight, y.x, y.weight, itself) - within(x) - within(y);
}

}  // namespace

double energy_distance_unbiased(const SampleSet& a, const SampleSet& b) {
  return energy_distance(a, b, true);
}

double energy_distance_plug_in(const SampleSet& a, const SampleSet& b) {
  return energy_distance(a, b, false);
}

double energy_p_value(const SampleSet& a, const SampleSet& b, const PermutationOptions& options) {
  return permutation_p_value(
      a, b, options, [](const Tensor& distance) { return -distance; }, "energy_p_value");
}

}  // namespace tweedie
