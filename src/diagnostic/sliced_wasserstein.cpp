// Wasserstein distances along lines: in one dimension the optimal plan matches quantiles,
//   W_p^p = integral_0^1 |F^-1(u) - G^-1(u)|^p du,
// and both inverses are constant between the points of {cumulative weights of a} and {of b} merged.

#include "tweedie/metrics.h"

#include "core/shape.h"
#include "diagnostic/samples.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr const char* place = "sliced_wasserstein";

// Row l of a (L, n) and b (L, m) are numbers with weights (n) and (m): (L) values of W_p^p.
Tensor w_to_the_p(const Tensor& a, const Tensor& weight_a, const Tensor& b, const Tensor& weight_b,
                  bool equal, double p) {
  const auto [x, order_a] = a.sort(-1);
  const auto [y, order_b] = b.sort(-1);
  if (equal && a.size(1) == b.size(1)) return (x - y).abs().pow(p).mean(-1);
  const Tensor cumulative_a = weight_a.index({order_a}).cumsum(-1).contiguous();
  const Tensor cumulative_b = weight_b.index({order_b}).cumsum(-1).contiguous();
  const Tensor u = std::get<0>(at::cat({cumulative_a, cumulative_b}, -1).sort(-1));
  const Tensor width = u - at::cat({at::zeros({u.size(0), 1}, u.options()), u.slice(1, 0, u.size(1) - 1)}, 1);
  const Tensor middle = (u - width / 2).contiguous();
  const Tensor i = at::searchsorted(cumulative_a, middle).clamp_max(a.size(1) - 1);
  const Tensor j = at::searchsorted(cumulative_b, middle).clamp_max(b.size(1) - 1);
  return ((x.gather(1, i) - y.gather(1, j)).abs().pow(p) * width).sum(-1);
}

Tensor directions_in(int64_t d, const SlicedOptions& options) {
  if (options.directions < 1) {
    throw Error("sliced_wasserstein.directions",
                fmt::format("{}, but at least 1 is needed", options.directions));
  }
  const Tensor u = Noise(options.seed).stream(Stream::metric).normal({options.directions, d}, at::kDouble);
  return u / u.norm(2, {1}, true);
}

double distance(const Tensor& a, const Tensor& weight_a, const Tensor& b, const Tensor& weight_b, bool equal,
                const Tensor& directions, SlicedConvention convention) {
  const double p = convention == SlicedConvention::mean_w1 ? 1 : 2;
  const int64_t at_once =
      std::max<int64_t>(1, (int64_t{1} << 22) / (a.size(0) + b.size(0)));  // bounds memory
  std::vector<Tensor> parts;
  for (const Tensor& u : directions.split(at_once)) {
    parts.push_back(w_to_the_p(u.matmul(a.t()), weight_a, u.matmul(b.t()), weight_b, equal, p));
  }
  const Tensor w = at::cat(parts);
  switch (convention) {
    case SlicedConvention::mean_w1:
      return w.mean().item<double>();
    case SlicedConvention::root_mean_w2:
      return std::sqrt(w.mean().item<double>());
    case SlicedConvention::max_w2:
      return std::sqrt(w.max().item<double>());
  }
  throw Error("sliced_wasserstein.convention", "not one of the three");
}

}  // namespace

double wasserstein_1d(const SampleSet& a, const SampleSet& b, double p) {
  const auto [x, y] = rows_of(a, b, "wasserstein_1d");
  if (x.d() != 1) throw Error("wasserstein_1d", fmt::format("{} coordinates, but one is meant", x.d()));
  if (!(p >= 1)) throw Error("wasserstein_1d.p", fmt::format("{}, but p >= 1 is needed", p));
  const Tensor w = w_to_the_p(x.x.t(), x.weight, y.x.t(), y.weight, !x.weighted && !y.weighted, p);
  return std::pow(w.item<double>(), 1 / p);
}

double sliced_wasserstein(const SampleSet& a, const SampleSet& b, const SlicedOptions& options) {
  const auto [x, y] = rows_of(a, b, place);
  return distance(x.x, x.weight, y.x, y.weight, !x.weighted && !y.weighted, directions_in(x.d(), options),
                  options.convention);
}

Floor sliced_wasserstein_floor(const SampleSet& a, const SlicedOptions& options, int64_t splits) {
  const auto distance = [&](const SampleSet& x, const SampleSet& y) {
    return sliced_wasserstein(x, y, options);
  };
  return distance_floor(distance, a, {splits, options.seed});
}

Floor sliced_wasserstein_floor(const SampleSet& a, const SampleSet& b, const SlicedOptions& options,
                               int64_t splits) {
  const auto distance = [&](const SampleSet& x, const SampleSet& y) {
    return sliced_wasserstein(x, y, options);
  };
  return distance_floor(distance, a, b, {splits, options.seed});
}

}  // namespace tweedie
