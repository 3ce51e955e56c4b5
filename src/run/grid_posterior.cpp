// The sum over a grid of p(x) p(y | x) dx, which converges fast where both are smooth and is right to the
// square of the spacing (a few thousandths of the prior's width) where one has a kink. The likelihood is
// evaluated in parts, so that no more than some rows are in memory.

#include "run/grid_posterior.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

GridPosterior::GridPosterior(const AnalyticPrior& prior, const Likelihood& likelihood, const Tensor& y,
                             int64_t points) {
  const int64_t d = prior.dimension();
  if (d > 2) throw Error("grid_posterior", fmt::format("{} dimensions, but at most 2 are taken", d));
  Noise probe(0);
  const Tensor seen = prior.sample(2000, probe).flatten(1), width = seen.std(0);
  const Tensor low = std::get<0>(seen.min(0)) - width, high = std::get<0>(seen.max(0)) + width;
  std::vector<Tensor> axes;
  for (int64_t i = 0; i < d; ++i)
    axes.push_back(at::linspace(low[i].item<double>(), high[i].item<double>(), points, at::kDouble));
  points_ = d == 1 ? axes[0].unsqueeze(1) : at::cartesian_prod(axes);
  cell_ = (high - low) / static_cast<double>(points - 1);
  const Shape shape = prior.shape();
  const Tensor data = y.unsqueeze(0);
  std::vector<Tensor> parts;
  for (const Tensor& part : points_.split(1 << 16)) {
    const Tensor x = part.reshape(with_batch(part.size(0), shape));
    parts.push_back(prior.log_prob(x) + likelihood.log_prob(data, x));
  }
  const Tensor log_joint = at::cat(parts);
  const double log_sum = at::logsumexp(log_joint, 0).item<double>();
  log_evidence_ = log_sum + cell_.log().sum().item<double>();
  cdf_ = (log_joint - log_sum).exp().cumsum(0);
}

Tensor GridPosterior::sample(int64_t draws, Noise& noise) const {
  const Tensor u = noise.uniform({draws}, at::kDouble) * cdf_[cdf_.size(0) - 1];
  const Tensor place = at::searchsorted(cdf_, u).clamp_max(cdf_.size(0) - 1);
  const Tensor within = noise.uniform({draws, points_.size(1)}, at::kDouble) - 0.5;
  return points_.index_select(0, place) + within * cell_;
}

}  // namespace tweedie
