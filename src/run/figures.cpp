#include "run/figures.h"

#include "report/curves.h"
#include "report/panels.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

constexpr int64_t most_rows = 6, most_draws = 6, most_images = 64;

bool is_image(at::IntArrayRef shape) {
  return shape.size() == 3 && (shape[0] == 1 || shape[0] == 3);
}

std::optional<ValueRange> range_of(std::optional<double> low, std::optional<double> high) {
  if (!low || !high || !(*low < *high)) return std::nullopt;
  return ValueRange{*low, *high};
}

// Flat draws (N, d): a cloud of the first two coordinates, or histograms of the first few.
Figure flat_figure(const Tensor& x, const Tensor& truth, const std::string& title) {
  const Tensor flat = x.flatten(1).to(at::kDouble);
  Chart chart{.title = title, .x = {}, .y = {}, .series = {}};
  if (flat.size(1) == 2) {
    chart.x.label = "x_1";
    chart.y.label = "x_2";
    chart.equal_scales = true;
    chart.height = 560;
    chart.series.push_back(scatter("draws", flat));
    if (truth.defined())
      chart.series.push_back(scatter("truth", truth.flatten().reshape({1, 2}).to(at::kDouble)));
    return draw_chart(chart);
  }
  chart.x.label = "value";
  chart.y.label = "density";
  for (int64_t i = 0; i < std::min<int64_t>(flat.size(1), 4); ++i) {
    chart.series.push_back(histogram(fmt::format("coordinate {}", i + 1), flat.select(1, i)));
  }
  return draw_chart(chart);
}

}  // namespace

Figure sample_figure(const Tensor& x, std::optional<double> low, std::optional<double> high,
                     const std::string& title, int64_t columns) {
  if (!is_image(x.sizes().slice(1))) return flat_figure(x, {}, title);
  PanelGrid grid{.title = title, .columns = {}, .rows = {}};
  for (int64_t c = 0; c < columns; ++c) {
    grid.columns.push_back({.title = "", .range = range_of(low, high)});
  }
  for (int64_t first = 0; first < std::min<int64_t>(x.size(0), most_images); first += columns) {
    PanelRow row;
    for (int64_t c = first; c < first + columns; ++c) row.images.push_back(c < x.size(0) ? x[c] : Tensor());
    grid.rows.push_back(std::move(row));
  }
  return draw_panels(grid);
}

Figure infer_figure(const InferPictures& p) {
  if (!is_image(p.mean.sizes().slice(1))) {
    return flat_figure(p.draws.select(1, 0), p.truth.defined() ? p.truth[0] : Tensor(), p.title);
  }
  const auto range = range_of(p.low, p.high);
  PanelGrid grid{.title = p.title, .columns = {}, .rows = {}};
  // One scale for spread and error, so that they can be compared by eye.
  double spread = p.std.defined() ? p.std.max().item<double>() : 0;
  if (p.truth.defined()) {
    const Tensor errors = (p.mean - p.truth).abs().flatten().to(at::kDouble);
    spread = std::max(spread, at::quantile(errors.slice(0, 0, 1'000'000), 0.99).item<double>());
  }
  const std::optional<ValueRange> spread_range = ValueRange{0, std::max(spread, 1e-12)};
  if (p.measurement.defined()) grid.columns.push_back({.title = "measurement", .range = range});
  if (p.truth.defined()) grid.columns.push_back({.title = "truth", .range = range});
  const bool point = p.point;
  grid.columns.push_back({.title = point ? "estimate" : "posterior mean", .range = range, .new_group = true});
  if (p.std.defined()) {
    grid.columns.push_back(
        {.title = "posterior std", .map = ColourMap::sequential, .range = spread_range, .colour_bar = true});
  }
  if (p.truth.defined()) {
    grid.columns.push_back({.title = point ? "|estimate - truth|" : "|mean - truth|",
                            .map = ColourMap::sequential,
                            .range = spread_range,
                            .colour_bar = true});
  }
  const int64_t draws = point ? 0 : std::min(p.draws.size(0), most_draws);
  for (int64_t d = 0; d < draws; ++d) {
    grid.columns.push_back({.title = fmt::format("draw {}", d + 1), .range = range, .new_group = d == 0});
  }
  for (int64_t c = 0; c < std::min(p.mean.size(0), most_rows); ++c) {
    PanelRow row;
    if (p.measurement.defined()) row.images.push_back(p.measurement[c]);
    if (p.truth.defined()) row.images.push_back(p.truth[c]);
    row.images.push_back(p.mean[c]);
    if (p.std.defined()) row.images.push_back(p.std[c]);
    if (p.truth.defined()) row.images.push_back((p.mean[c] - p.truth[c]).abs());
    for (int64_t d = 0; d < draws; ++d) row.images.push_back(p.draws[d][c]);
    row.caption = p.captions[c];
    grid.rows.push_back(std::move(row));
  }
  return draw_panels(grid);
}

Figure calibration_figure(const CalibrationPictures& p) {
  constexpr int width = 400, height = 300, most_columns = 4;
  const auto values = [](const Tensor& t) {
    const Tensor flat = t.to(at::kDouble).contiguous();
    return std::vector<double>(flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel());
  };
  constexpr size_t blue = 0, orange = 1, grey = 6;
  std::vector<Chart> charts;
  const double bins = static_cast<double>(p.counts.size(1));
  for (size_t s = 0; s < p.names.size(); ++s) {
    const Tensor counts = p.counts[static_cast<int64_t>(s)];
    const double n = counts.sum().item<double>(), expected = n / bins;
    const double spread = 2.576 * std::sqrt(expected * (1 - 1 / bins));  // 99% of a binomial
    Chart chart{.title = "ranks: " + p.names[s],
                .x = {"rank of the truth / draws"},
                .y = {"problems"},
                .series = {},
                .width = width,
                .height = height};
    chart.series.push_back({.x = values(at::linspace(0, 1, p.counts.size(1) + 1, at::kDouble)),
                            .y = values(counts),
                            .mark = Mark::bars,
                            .colour = blue});
    for (const double level : {expected - spread, expected, expected + spread}) {
      chart.series.push_back({.x = {0, 1}, .y = {level, level}, .colour = level == expected ? grey : orange});
    }
    charts.push_back(std::move(chart));
  }
  const auto coverage = [&](const std::string& title) {
    Chart chart{.title = title,
                .x = {"level", false, 0, 1},
                .y = {"share of truths", false, 0, 1},
                .series = {},
                .width = width,
                .height = height};
    const auto level = values(p.level);
    chart.series.push_back({.x = level, .y = level, .colour = grey});
    for (const double side : {-p.band, p.band})
      chart.series.push_back({.x = level, .y = values((p.level + side).clamp(0, 1)), .colour = orange});
    return chart;
  };
  charts.push_back(coverage("expected coverage (TARP)"));
  charts.back().series.push_back({.x = values(p.level), .y = values(p.expected), .colour = blue});
  charts.push_back(coverage("central intervals, every statistic"));
  for (int64_t s = 0; s < p.central.size(1); ++s) {
    charts.back().series.push_back(
        {.x = values(p.level), .y = values(p.central.select(1, s)), .colour = blue, .opacity = 0.6});
  }

  const int count = static_cast<int>(charts.size());
  const int columns = std::min(count, most_columns), rows = (count + columns - 1) / columns;
  constexpr int head = 40;
  Canvas canvas(columns * width, head + rows * height);
  canvas.text(16, 28, fit_text(p.title, columns * width - 32, {.size = 18, .bold = true}),
              {.size = 18, .bold = true});
  for (int i = 0; i < count; ++i) {
    canvas.image(i % columns * width, head + i / columns * height, draw_chart(charts[i]).image);
  }
  return {canvas.to_tensor(), has_font()};
}

}  // namespace tweedie
