// Vehtari et al. 2021, section 3: with M chains of N draws, W the mean variance within the chains and B/N the
// variance of their means,
//   R-hat = sqrt(var+ / W),   var+ = (N - 1)/N W + B/N.
// The chains are halved, so that one that drifts disagrees with itself. Ranks in place of values
// (section 4.1) make it defined without a mean or variance; the distance from the median (folding) shows
// chains of equal location and different scale.

#include "tweedie/chains.h"

#include "core/special.h"
#include "diagnostic/chain_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

Tensor scale_reduction(const Tensor& z) {
  const double n = static_cast<double>(z.size(2));
  const Tensor within = z.var(2, true).mean(1), between = z.mean(2).var(1, true);
  const Tensor rhat = ((n - 1) / n + between / within).sqrt();
  const Tensor one_moves = (z.amax(2) > z.amin(2)).any(1);
  return at::where(one_moves, rhat, at::full_like(rhat, INFINITY)).masked_fill(varies(z).logical_not(), 1);
}

}  // namespace

Tensor split_rhat(const Tensor& chains) {
  const Tensor x = halves(chain_rows(chains, "split_rhat"));
  const Tensor folded = (x - pooled_quantile(x, 0.5).view({-1, 1, 1})).abs();
  return of_shape(at::maximum(scale_reduction(rank_normalised(x)), scale_reduction(rank_normalised(folded))),
                  chains);
}

// N (R-hat^2 - (N - 1)/N) = B/W of M chains of N independent normal draws is F with M - 1 and M (N - 1)
// degrees of freedom; the largest of `count` such has at most `count` times its tail.
Finding rhat(const Tensor& chains, const Significance& significance) {
  constexpr double good = 1.01, bad = 1.05;
  const Tensor moving = varies(chain_rows(chains, "rhat"));
  Finding f{"rhat", Finding::Status::fail, NAN, std::nullopt, "", ""};
  if (!moving.any().item<bool>()) {
    f.message = "all chains stand still at one point";
    f.remedy = "take a larger step size";
    return f;
  }
  f.value = split_rhat(chains).max().item<double>();
  const double m = 2 * static_cast<double>(chains.size(1)), n = static_cast<double>(chains.size(0) / 2);
  const double count = 2 * static_cast<double>(moving.numel());  // location and scale of each
  const double p = std::min(1.0, count * f_tail(n * f.value * f.value - (n - 1), m - 1, m * (n - 1)));
  f.p_value = p;
  f.status = f.value <= good                                  ? Finding::Status::pass
             : f.value <= bad || p >= significance.fail_below ? Finding::Status::warn
                                                              : Finding::Status::fail;
  f.message = fmt::format("R-hat of {} chains is at most {:.4g} over {} coordinates", chains.size(1), f.value,
                          moving.numel());
  if (f.status != Finding::Status::pass) {
    f.message += fmt::format(", above {}: the chains have not mixed, or are too short to tell", good);
    f.remedy = "run the chains for longer, with a longer warm-up";
  }
  return f;
}

}  // namespace tweedie
