#include "run/class_counts.h"

#include "report/curves.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

// Of a width: numbers of a table are decimal ones, rounded, and may have been read as float32.
constexpr double rounding = 1e-3;

// Edges of adjacent classes, ascending, from their lower and upper ones
Tensor joined_edges(const Tensor& lower, const Tensor& upper, const std::string& name) {
  const int64_t n = lower.size(0);
  for (int64_t i = 0; i < n; ++i) {
    const auto a = lower[i].item<double>(), b = upper[i].item<double>();
    if (!(a < b))
      throw Error(name, fmt::format("class {} is from {:.7g} to {:.7g}: ascending is meant", i + 1, a, b));
    if (i + 1 == n) break;
    const auto next = lower[i + 1].item<double>();
    if (!(std::abs(next - b) <= rounding * (b - a))) {
      throw Error(
          name,
          fmt::format("class {} ends at {:.7g}, but class {} begins at {:.7g}: adjacent classes are meant",
                      i + 1, b, i + 2, next));
    }
  }
  return at::cat({lower, upper.narrow(0, n - 1, 1)});
}

Tensor edges_about(const Tensor& middle, const std::string& name) {
  const int64_t n = middle.size(0);
  if (n < 2) throw Error(name, "one class: its width can't be told from its middle; give both its edges");
  const double width = (middle[n - 1] - middle[0]).item<double>() / static_cast<double>(n - 1);
  for (int64_t i = 1; i < n; ++i) {
    const double step = (middle[i] - middle[i - 1]).item<double>();
    if (!(step > 0) || !(std::abs(step - width) <= rounding * width)) {
      throw Error(
          name,
          fmt::format(
              "middles {} and {} are {:.7g} apart, on the whole they are {:.7g}: classes of one width are "
              "meant, or rows of lower edge, upper edge and count",
              i, i + 1, step, width));
    }
  }
  return at::cat({middle - width / 2, middle.narrow(0, n - 1, 1) + width / 2});
}

}  // namespace

ClassCounts class_counts(const Dataset& data) {
  const Tensor rows = data.x.to(at::kDouble);
  if (rows.dim() != 2 || (rows.size(1) != 2 && rows.size(1) != 3)) {
    throw Error(data.name, "model.grouped means rows of a middle and a count, or of two edges and a count");
  }
  const Tensor counts = rows.select(1, rows.size(1) - 1).contiguous(), first = rows.select(1, 0).contiguous();
  if (rows.size(1) == 2) return {edges_about(first, data.name), counts};
  return {joined_edges(first, rows.select(1, 1).contiguous(), data.name), counts};
}

Figure class_counts_figure(const ClassCounts& classes, const MixtureFit& fit, const std::string& title) {
  const auto numbers = [](const Tensor& t) {
    const Tensor flat = t.to(at::kDouble).contiguous();
    return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  };
  // An outer class may be open: as wide as its neighbour, then.
  std::vector<double> edges = numbers(classes.edges),
                      heights = numbers(classes.counts / classes.counts.sum());
  const size_t n = heights.size();
  if (std::isinf(edges.front())) edges.front() = n > 2 ? 2 * edges[1] - edges[2] : edges[1] - 1;
  if (std::isinf(edges.back())) edges.back() = n > 2 ? 2 * edges[n - 1] - edges[n - 2] : edges[n - 1] + 1;
  for (size_t i = 0; i < n; ++i) heights[i] /= edges[i + 1] - edges[i];

  Chart chart{
      .title = title, .x = {.label = "value"}, .y = {.label = "density"}, .width = 720, .height = 440};
  chart.series.push_back({.label = "counts", .x = edges, .y = heights, .mark = Mark::bars, .opacity = 0.45});
  constexpr int64_t points = 400;
  const Tensor x = at::linspace(edges.front(), edges.back(), points, at::kDouble);
  const Tensor mean = fit.means.reshape({-1, 1}), variance = fit.covariances.reshape({-1, 1});
  const Tensor parts = fit.weights.reshape({-1, 1}) * (-(x - mean).square() / (2 * variance)).exp() /
                       (2 * std::numbers::pi * variance).sqrt();
  const Tensor whole = parts.sum(0);
  chart.series.push_back({.label = "mixture", .x = numbers(x), .y = numbers(whole)});
  for (int64_t k = 0; k < parts.size(0); ++k) {
    const std::string label = fmt::format("{:.3f} N({:.4g}, {:.3g}²)", fit.weights[k].item<double>(),
                                          mean[k].item<double>(), std::sqrt(variance[k].item<double>()));
    chart.series.push_back({.label = label, .x = numbers(x), .y = numbers(parts[k])});
  }
  return draw_chart(chart);
}

}  // namespace tweedie
