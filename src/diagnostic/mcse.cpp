// Monte Carlo standard errors of what is computed from chains (Vehtari et al. 2021, section 4.4). Of the
// mean: sd / sqrt(ESS). Of a quantile: with S_eff independent draws the level reached at the p-quantile is
// Beta(S_eff p + 1, S_eff (1 - p) + 1); half the distance between the order statistics at that law's 15.87%
// and 84.13% points is one standard error, without a density estimate.

#include "tweedie/chains.h"

#include "core/shape.h"
#include "core/special.h"
#include "diagnostic/chain_rows.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

Tensor mcse_mean(const Tensor& chains) {
  const Tensor x = chain_rows(chains, "mcse_mean");
  const Tensor std = x.flatten(1).std(1, true).masked_fill(varies(x).logical_not(), 0);
  return of_shape(std / effective_number(halves(x)).sqrt(), chains);
}

Tensor mcse_quantile(const Tensor& chains, double probability) {
  if (!(probability > 0 && probability < 1)) {
    throw Error("mcse_quantile.probability", fmt::format("{}, not between 0 and 1", probability));
  }
  const Tensor x = chain_rows(chains, "mcse_quantile");
  const Tensor below = (x <= pooled_quantile(x, probability).view({-1, 1, 1})).to(at::kDouble);
  const Tensor ess = effective_number(halves(below)), sorted = std::get<0>(x.flatten(1).sort(1));
  const int64_t draws = sorted.size(1);
  const Tensor result = at::empty({x.size(0)}, at::kDouble);
  for (int64_t j = 0; j < x.size(0); ++j) {
    const double s = ess[j].item<double>();
    const auto value_at = [&](double level) {
      const double q = beta_quantile(s * probability + 1, s * (1 - probability) + 1, level);
      const auto rank = std::llround(q * static_cast<double>(draws));
      return sorted[j][std::clamp<int64_t>(rank, 1, draws) - 1].item<double>();
    };
    result[j] = (value_at(normal_cdf(1)) - value_at(normal_cdf(-1))) / 2;
  }
  return of_shape(result, chains);
}

}  // namespace tweedie
