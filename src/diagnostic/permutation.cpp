// Permutation test of equal laws (Gretton et al. 2012, Szekely and Rizzo 2013). With K the kernel within the
// pool of both sets, without its diagonal, and z the indicator of a, the sum within a is z^T K z and the
// others follow from it and from K 1, so all permutations cost one matrix product.

#include "diagnostic/permutation.h"

#include "diagnostic/samples.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

double permutation_p_value(const SampleSet& a, const SampleSet& b, const PermutationOptions& options,
                           const std::function<Tensor(const Tensor&)>& kernel, const std::string& place) {
  if (options.permutations < 1 || options.max_rows < 2) {
    throw Error(place, fmt::format("{} permutations of at most {} rows; at least 1 of 2 are needed",
                                   options.permutations, options.max_rows));
  }
  const auto [x, y] = rows_of(a, b, place, 2);
  Noise noise = Noise(options.seed).stream(Stream::metric).stream(Stream::order);
  const Tensor first = thinned(equal_weight_rows(x, noise), options.max_rows, noise);
  const Tensor second = thinned(equal_weight_rows(y, noise), options.max_rows, noise);
  const int64_t n = first.size(0), m = second.size(0);
  if (n < 2 || m < 2) throw Error(place, "an effective size below 2");
  Tensor pool = at::cat({first, second});
  pool = pool - pool.mean(0);
  const Tensor k = kernel(distances(pool, pool)).fill_diagonal_(0);

  // Column 0 is the sets as they are.
  Tensor z = at::zeros({options.permutations + 1, n + m}, at::kDouble);
  z[0].slice(0, 0, n).fill_(1);
  for (int64_t i = 1; i <= options.permutations; ++i) {
    z[i].index_fill_(0, at::tensor(noise.permutation(n + m), at::kLong).slice(0, 0, n), 1);
  }
  const Tensor to_all = k.sum(1);
  const Tensor within_a = (z.matmul(k) * z).sum(1);
  const Tensor between = z.matmul(to_all) - within_a;
  const Tensor within_b = to_all.sum() - within_a - 2 * between;
  const auto pairs = [](int64_t i, int64_t j) { return static_cast<double>(i) * static_cast<double>(j); };
  const Tensor mmd = within_a / pairs(n, n - 1) + within_b / pairs(m, m - 1) - 2 * between / pairs(n, m);
  // Permutations that give the same value in exact arithmetic must count as such.
  const Tensor reached = mmd >= mmd[0] - 1e-12 * k.abs().sum(1).mean() / static_cast<double>(n + m);
  return reached.sum().item<double>() / static_cast<double>(options.permutations + 1);
}

}  // namespace tweedie
