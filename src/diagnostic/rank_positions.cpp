// Where a truth stands among its draws. Let s be any function of (x, y). For exact draws the L + 1 values of
// s at the truth and at the draws are exchangeable given y, so that the rank of the truth, ties broken at
// random, is uniform on 0 .. L, and with u ~ U(0, 1) (rank + u) / (L + 1) is uniform on (0, 1).

#include "tweedie/calibration.h"

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

void check(const Simulations& s, const std::string& place) {
  if (s.x.dim() < 1 || s.draws.dim() != s.x.dim() + 1 || s.draws.sizes().slice(1) != s.x.sizes() ||
      s.draws.numel() == 0) {
    throw Error(place, fmt::format("draws {} of x {}; (draws, cases, *shape) and (cases, *shape) are meant",
                                   to_string(s.draws.sizes()), to_string(s.x.sizes())));
  }
  require_finite(s.x, place + ".x");
  require_finite(s.draws, place + ".draws");
}

}  // namespace

RankStatistics RankStatistics::random(int64_t dimension, int64_t count, Noise& noise) {
  if (dimension < 1 || count < 0) {
    throw Error("RankStatistics", fmt::format("{} directions in {} dimensions", count, dimension));
  }
  const Tensor v = noise.normal({std::min(count, dimension), dimension}, at::kDouble);
  return {.directions = (v / v.square().sum(1, true).sqrt()).t().contiguous()};
}

std::vector<std::string> RankStatistics::names() const {
  std::vector<std::string> result;
  for (int64_t i = 1; i <= directions.size(1); ++i) result.push_back(fmt::format("direction-{}", i));
  if (log_likelihood) result.push_back("log-likelihood");
  result.push_back("squared-norm");
  return result;
}

Tensor RankStatistics::of(const Tensor& x, const Tensor& y, const Likelihood& likelihood) const {
  const Tensor flat = x.flatten(1).to(at::kDouble);
  std::vector<Tensor> columns{flat.matmul(directions)};
  if (log_likelihood) columns.push_back(likelihood.log_prob(y, x).unsqueeze(1));
  columns.push_back(flat.square().sum(1, true));
  return at::cat(columns, 1);
}

Tensor rank_positions(const Tensor& of_x, const Tensor& of_draws, const Tensor& log_weight, Noise& noise) {
  if (of_x.dim() != 2 || of_draws.dim() != 3 || of_draws.sizes().slice(1) != of_x.sizes() ||
      of_draws.numel() == 0) {
    throw Error(
        "rank_positions",
        fmt::format("statistics {} of draws and {} of truths; (draws, cases, k) and (cases, k) are meant",
                    to_string(of_draws.sizes()), to_string(of_x.sizes())));
  }
  const int64_t cases = of_x.size(0), k = of_x.size(1);
  // The truth's place among its ties, within its rank, and the start of the resampling
  const Tensor u = noise.uniform({cases, 2 * k + 1}, at::kDouble);
  const auto position = [&](const Tensor& draws, const Tensor& truth, const Tensor& ui) {  // (L, ., k)
    const Tensor below = (draws < truth).sum(0).to(at::kDouble), ties = (draws == truth).sum(0);
    const Tensor place = (ui.slice(-1, 0, k) * (ties + 1)).floor().minimum(ties);
    return (below + place + ui.slice(-1, k, 2 * k)) / static_cast<double>(draws.size(0) + 1);
  };
  if (!log_weight.defined()) return position(of_draws, of_x, u);
  if (log_weight.sizes() != of_draws.sizes().slice(0, 2)) {
    throw Error("rank_positions.log_weight",
                fmt::format("shape {}, but {} is meant", to_string(log_weight.sizes()),
                            to_string(of_draws.sizes().slice(0, 2))));
  }
  const Tensor result = at::empty_like(of_x);
  for (int64_t c = 0; c < cases; ++c) {
    const Tensor w = normalised(log_weight.select(1, c), "rank_positions.log_weight");
    const Tensor kept = systematic(w, u[c][2 * k].item<double>());
    result[c] = position(of_draws.select(1, c).index_select(0, kept), of_x[c], u[c]);
  }
  return result;
}

Tensor rank_positions(const Simulations& s, const RankStatistics& statistics, const Likelihood& likelihood,
                      Noise& noise) {
  check(s, "rank_positions");
  std::vector<Tensor> of_draws;
  for (const Tensor& draw : s.draws.unbind()) of_draws.push_back(statistics.of(draw, s.y, likelihood));
  return rank_positions(statistics.of(s.x, s.y, likelihood), at::stack(of_draws), s.log_weight, noise);
}

Tensor distance_positions(const Simulations& s, const Tensor& reference, Noise& noise) {
  check(s, "distance_positions");
  if (reference.sizes() != s.x.sizes()) {
    throw Error(
        "distance_positions.reference",
        fmt::format("shape {}, but {} is meant", to_string(reference.sizes()), to_string(s.x.sizes())));
  }
  const Tensor r = reference.flatten(1).to(at::kDouble);
  const auto distance = [&](const Tensor& x) {
    return (x.flatten(1).to(at::kDouble) - r).square().sum(1, true);  // squared: the order is the same
  };
  std::vector<Tensor> of_draws;
  for (const Tensor& draw : s.draws.unbind()) of_draws.push_back(distance(draw));
  return rank_positions(distance(s.x), at::stack(of_draws), s.log_weight, noise).squeeze(1);
}

Tensor ranks_of(const Tensor& positions, int64_t draws) {
  return (positions * static_cast<double>(draws + 1)).floor().clamp(0, draws).to(at::kLong);
}

}  // namespace tweedie
