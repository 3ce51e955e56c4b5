// Energy distance (Szekely and Rizzo 2013) from weighted sums of distances, taken block by block, and its
// permutation test. With D the distances within the pool of both sets and z the indicator of a, the sum
// within a is z^T D z and the others follow from it and from D 1, so all permutations cost one matrix
// product.

#include "tweedie/metrics.h"

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

constexpr int64_t block_rows = 1024;

// The product form of |x - y|^2 is faster but cancels: used only for long rows, which the callers centre.
Tensor distances(const Tensor& x, const Tensor& y) {
  const int64_t through_product = 1, directly = 2;
  return at::cdist(x, y, 2, x.size(1) >= 32 ? through_product : directly);
}

// sum_ij v_i w_j |x_i - y_j|
double weighted_sum(const Tensor& x, const Tensor& v, const Tensor& y, const Tensor& w) {
  double sum = 0;
  for (int64_t i = 0; i < x.size(0); i += block_rows) {
    const Tensor xi = x.slice(0, i, i + block_rows), vi = v.slice(0, i, i + block_rows);
    for (int64_t j = 0; j < y.size(0); j += block_rows) {
      const Tensor yj = y.slice(0, j, j + block_rows), wj = w.slice(0, j, j + block_rows);
      sum += vi.dot(distances(xi, yj).matmul(wj)).item<double>();
    }
  }
  return sum;
}

double energy_distance(const SampleSet& a, const SampleSet& b, bool unbiased) {
  auto [x, y] = rows_of(a, b, "energy_distance", unbiased ? 2 : 1);
  const Tensor centre = (x.x.mean(0) + y.x.mean(0)) / 2;
  x.x = x.x - centre;
  y.x = y.x - centre;
  // Without the pairs (i, i), whose distance is 0, the weights of the others sum to 1 - sum w^2.
  const auto within = [&](const Rows& r) {
    const double share = unbiased ? 1 - 1 / r.ess : 1;
    if (share <= 0) throw Error("energy_distance", "all the weight is on one draw; at least two are needed");
    return weighted_sum(r.x, r.weight, r.x, r.weight) / share;
  };
  return 2 * weighted_sum(x.x, x.weight, y.x, y.weight) - within(x) - within(y);
}

Tensor thinned(const Tensor& x, int64_t most, Noise& noise) {
  if (x.size(0) <= most) return x;
  return x.index_select(0, at::tensor(noise.permutation(x.size(0)), at::kLong).slice(0, 0, most));
}

}  // namespace

double energy_distance_unbiased(const SampleSet& a, const SampleSet& b) {
  return energy_distance(a, b, true);
}

double energy_distance_plug_in(const SampleSet& a, const SampleSet& b) {
  return energy_distance(a, b, false);
}

double energy_p_value(const SampleSet& a, const SampleSet& b, const PermutationOptions& options) {
  if (options.permutations < 1 || options.max_rows < 2) {
    throw Error("energy_p_value",
                fmt::format("{} permutations of at most {} rows; at least 1 of 2 are needed",
                            options.permutations, options.max_rows));
  }
  const auto [x, y] = rows_of(a, b, "energy_p_value", 2);
  Noise noise = Noise(options.seed).stream(Stream::metric).stream(Stream::order);
  const Tensor first = thinned(equal_weight_rows(x, noise), options.max_rows, noise);
  const Tensor second = thinned(equal_weight_rows(y, noise), options.max_rows, noise);
  const int64_t n = first.size(0), m = second.size(0);
  if (n < 2 || m < 2) throw Error("energy_p_value", "an effective size below 2");
  Tensor pool = at::cat({first, second});
  pool = pool - pool.mean(0);
  const Tensor d = distances(pool, pool);

  // Column 0 is the sets as they are.
  Tensor z = at::zeros({options.permutations + 1, n + m}, at::kDouble);
  z[0].slice(0, 0, n).fill_(1);
  for (int64_t k = 1; k <= options.permutations; ++k) {
    z[k].index_fill_(0, at::tensor(noise.permutation(n + m), at::kLong).slice(0, 0, n), 1);
  }
  const Tensor to_all = d.sum(1);
  const Tensor within_a = (z.matmul(d) * z).sum(1);
  const Tensor between = z.matmul(to_all) - within_a;
  const Tensor within_b = to_all.sum() - within_a - 2 * between;
  const auto pairs = [](int64_t i, int64_t j) { return static_cast<double>(i) * static_cast<double>(j); };
  const Tensor distance = 2 * between / pairs(n, m) - within_a / pairs(n, n - 1) - within_b / pairs(m, m - 1);
  // Permutations that give the same value in exact arithmetic must count as such.
  const Tensor reached = distance >= distance[0] - 1e-12 * to_all.mean() / static_cast<double>(n + m);
  return reached.sum().item<double>() / static_cast<double>(options.permutations + 1);
}

}  // namespace tweedie
