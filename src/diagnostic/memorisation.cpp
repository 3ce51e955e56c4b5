// Let h_(1) <= ... <= h_(m) be the distances of the held-out rows to their nearest training rows, and t =
// h_(k), k = floor(q (m + 1)). If the draws have the law of the data, then, given the training rows, the n
// draws' distances and the m held-out ones are exchangeable, so that the number X of draws nearer than t is
// Pólya distributed (a binomial with p ~ Beta(k, m + 1 - k), the law of the k-th order statistic):
//   E X / n = p_0 = k / (m + 1),  Var X / n = p_0 (1 - p_0) (n + m + 1) / (n (m + 2)),
//   P(X >= c) = P(at most k - 1 held-out ones among the c + k - 1 smallest of all n + m): hypergeometric.
// A sampler that copies a share f of its draws has X / n = f + (1 - f) p_0.

#include "tweedie/memorisation.h"

#include "core/shape.h"
#include "diagnostic/nearest.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

Tensor flat(const Tensor& x, const std::string& place) {
  require_real(x, place);
  if (x.dim() < 2 || x.numel() == 0) {
    throw Error(place, fmt::format("shape {}, but (rows, ...) with at least one number is meant",
                                   to_string(x.sizes())));
  }
  require_finite(x, place);
  return x.detach().cpu().flatten(1);
}

double log_choose(int64_t n, int64_t k) {
  const auto factorial = [](int64_t i) { return std::lgamma(static_cast<double>(i) + 1); };
  return factorial(n) - factorial(k) - factorial(n - k);
}

// P(X >= c)
double tail(int64_t c, int64_t n, int64_t k, int64_t m) {
  if (c == 0) return 1;
  const int64_t drawn = c + k - 1;
  double sum = 0;
  for (int64_t h = std::max<int64_t>(0, drawn - n); h < k; ++h)
    sum += std::exp(log_choose(m, h) + log_choose(n, drawn - h) - log_choose(n + m, drawn));
  return std::min(1.0, sum);
}

}  // namespace

Memorisation measure_memorisation(const Tensor& draws, const Tensor& training, const Tensor& held_out,
                                  const MemorisationOptions& options) {
  if (!(options.quantile > 0 && options.quantile < 1)) {
    throw Error("memorisation.quantile", fmt::format("{}: above 0 and below 1 is meant", options.quantile));
  }
  const Tensor x = flat(draws, "memorisation.draws"), rows = flat(training, "memorisation.training"),
               other = flat(held_out, "memorisation.held_out");
  for (const Tensor* set : {&draws, &held_out}) {
    if (set->sizes().slice(1) == training.sizes().slice(1)) continue;
    throw Error("memorisation",
                fmt::format("rows of shape {} and training rows of {}; one shape is needed",
                            to_string(set->sizes().slice(1)), to_string(training.sizes().slice(1))));
  }
  const int64_t n = x.size(0), m = other.size(0);
  const auto k = static_cast<int64_t>(options.quantile * static_cast<double>(m + 1) + 1e-9);
  if (k < 1) {
    throw Error("memorisation.held_out",
                fmt::format("{} rows, but at least {:.0f} are needed for the quantile {}", m,
                            std::ceil(1 / options.quantile - 1), options.quantile));
  }

  const Nearest of_draws = nearest(x, rows, options.threads),
                of_held_out = nearest(other, rows, options.threads);
  Memorisation result;
  result.distance = of_draws.distance;
  result.nearest = of_draws.index;
  result.held_out_distance = of_held_out.distance;
  result.threshold = std::get<0>(of_held_out.distance.sort())[k - 1].item<double>();
  const auto count = of_draws.distance.lt(result.threshold).sum().item<int64_t>();
  const auto rows_n = static_cast<double>(n), rows_m = static_cast<double>(m);
  result.share = static_cast<double>(count) / rows_n;
  result.expected = static_cast<double>(k) / (rows_m + 1);
  result.standard_error =
      std::sqrt(result.expected * (1 - result.expected) * (rows_n + rows_m + 1) / (rows_n * (rows_m + 2)));
  result.p_value = tail(count, n, k, m);

  const Tensor order = of_draws.distance.argsort();
  for (int64_t i = 0; i < std::min(options.pairs, n); ++i) {
    const auto draw = order[i].item<int64_t>();
    result.closest.push_back(
        {draw, of_draws.index[draw].item<int64_t>(), of_draws.distance[draw].item<double>()});
  }
  return result;
}

Finding memorisation(const Memorisation& measured, const Significance& significance) {
  constexpr double too_many = 2;
  if (measured.threshold == 0) {
    return {"memorisation",
            Finding::Status::skipped,
            std::numeric_limits<double>::quiet_NaN(),
            {},
            "held-out rows are training rows themselves: no distance tells a copy",
            "hold out rows that the training rows have no copies of"};
  }
  Finding f{"memorisation", Finding::Status::pass, measured.share, measured.p_value, "", ""};
  f.message = fmt::format(
      "{:.3g}% of draws are within {:.3g} of a training row ({:.3g}% +- {:.2g}% expected), "
      "p = {:.2g}",
      100 * measured.share, measured.threshold, 100 * measured.expected, 100 * measured.standard_error,
      measured.p_value);
  if (measured.p_value >= significance.warn_below) return f;
  const bool severe =
      measured.p_value < significance.fail_below && measured.share > too_many * measured.expected;
  f.status = severe ? Finding::Status::fail : Finding::Status::warn;
  if (!measured.closest.empty()) {
    const MemorisedPair& pair = measured.closest.front();
    f.message += fmt::format("; closest: draw {} and training row {}, {:.3g} apart", pair.draw, pair.row,
                             pair.distance);
  }
  f.remedy =
      "look at the closest pairs: if they are copies, train on more rows, for fewer steps or with fewer "
      "weights; if not, the draws vary too little";
  return f;
}

}  // namespace tweedie
