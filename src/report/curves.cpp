#include "report/curves.h"

#include "core/shape.h"
#include "report/ticks.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int margin = 16, line_height = 18, swatch = 18;
constexpr double smallest = 1e-140, largest = 1e140;  // beyond, differences and ratios overflow
constexpr Colour ink{60, 60, 60}, grid_line{232, 232, 232};
const TextStyle title_style{.size = 16, .bold = true},
    label_style{.size = 13, .colour = ink, .align = Align::centre}, tick_style{.size = 12, .colour = ink},
    legend_style{.size = 12, .colour = ink};

// One axis with its range settled: from values to [0, 1].
struct Scale {
  bool log;
  double low, high;

  double forward(double value) const { return log ? (value >= smallest ? std::log(value) : NAN) : value; }
  double share(double value) const {
    return (forward(value) - forward(low)) / (forward(high) - forward(low));
  }
};

Scale settle(const Axis& axis, const char* name, const std::vector<const std::vector<double>*>& data,
             double padding, bool from_zero) {
  const auto usable = [&](double v) { return std::abs(v) <= largest && (!axis.log || v >= smallest); };
  double low = INFINITY, high = -INFINITY;
  for (const auto* values : data) {
    for (const double v : *values) {
      if (usable(v)) low = std::min(low, v), high = std::max(high, v);
    }
  }
  if (low > high) low = axis.log ? 1 : 0, high = axis.log ? 10 : 1;
  if (from_zero && !axis.log) low = std::min(low, 0.0), high = std::max(high, 0.0);
  if (axis.log) {
    const double pad = std::max(std::pow(high / low, padding), low == high ? 2.0 : 1.0);
    low = low / pad;
    high = high * pad;
  } else {
    const double width = high - low, scale = std::max(std::abs(low), std::abs(high));
    const double pad = width > 1e-9 * scale ? padding * width : std::max(0.5 * scale, 0.5);
    if (!(from_zero && low == 0)) low -= pad;
    high += pad;
  }
  if (axis.low) low = *axis.low;
  if (axis.high) high = *axis.high;
  if (!(low < high) || !std::isfinite(high - low) || (axis.log && low <= 0)) {
    throw Error("figure", fmt::format("the {} axis goes from {} to {}; finite, ascending{} is meant", name,
                                      low, high, axis.log ? " and positive" : ""));
  }
  return {axis.log, low, high};
}

struct Tick {
  double share;
  std::string label;
};

std::vector<Tick> ticks_of(const Scale& scale, int count) {
  const auto values =
      scale.log ? log_ticks(scale.low, scale.high, count) : linear_ticks(scale.low, scale.high, count);
  const double step = values.size() > 1 ? values[1] - values[0] : 1;
  std::vector<Tick> ticks;
  for (const double v : values) {
    ticks.push_back({scale.share(v), scale.log ? log_tick_label(v) : tick_label(v, step)});
  }
  return ticks;
}

void check(const Chart& chart) {
  for (const Series& s : chart.series) {
    const size_t needed = s.mark == Mark::bars ? s.y.size() + 1 : s.y.size();
    if (s.x.size() != needed && !(s.x.empty() && s.y.empty())) {
      throw Error("figure", fmt::format("series '{}' has {} x for {} y", s.label, s.x.size(), s.y.size()));
    }
  }
}

// Lines of (index of a series), broken so that each fits.
std::vector<std::vector<size_t>> legend_lines(const Chart& chart, int width) {
  std::vector<std::vector<size_t>> lines;
  int used = 0;
  for (size_t i = 0; i < chart.series.size(); ++i) {
    if (chart.series[i].label.empty()) continue;
    const int item = swatch + 6 + text_width(chart.series[i].label, legend_style) + 18;
    if (lines.empty() || used + item > width) lines.emplace_back(), used = 0;
    lines.back().push_back(i);
    used += item;
  }
  return lines;
}

Colour colour_of(const Chart& chart, size_t index) {
  return palette(chart.series[index].colour.value_or(index));
}

void draw_legend(Canvas& canvas, const Chart& chart, const std::vector<std::vector<size_t>>& lines, int x,
                 int y) {
  for (const auto& line : lines) {
    int at = x;
    for (const size_t i : line) {
      const Series& series = chart.series[i];
      // As faint as in the chart, but always to be seen.
      const Colour c = mix({255, 255, 255}, colour_of(chart, i),
                           series.mark == Mark::dots ? 1 : std::max(0.3, series.opacity));
      if (series.mark == Mark::line) canvas.line({{at + 0.0, y - 4.0}, {at + swatch + 0.0, y - 4.0}}, c, 2);
      if (series.mark == Mark::dots) canvas.dot({at + swatch / 2.0, y - 4.0}, 3, c);
      if (series.mark == Mark::bars) canvas.fill({at + 3, y - 9, 12, 10}, c, 0.6);
      const std::string label =
          fit_text(series.label, canvas.width() - margin - at - swatch - 6, legend_style);
      canvas.text(at + swatch + 6, y, label, legend_style);
      at += swatch + 6 + text_width(label, legend_style) + 18;
    }
    y += line_height;
  }
}

// The plotting area, on its own canvas so that all is cut off at the axes.
struct Plot {
  Rect area;
  Scale x, y;

  Point at(double u, double v) const { return {x.share(u) * area.width, (1 - y.share(v)) * area.height}; }
};

void draw_bars(Canvas& canvas, const Plot& plot, const Series& s, Colour c) {
  const double floor = plot.y.log ? plot.y.low : 0;
  std::vector<Point> outline;
  for (size_t i = 0; i < s.y.size(); ++i) {
    const Point a = plot.at(s.x[i], s.y[i]), b = plot.at(s.x[i + 1], floor);
    if (!std::isfinite(a.x + a.y + b.x + b.y)) continue;
    const auto left = static_cast<int>(std::lround(a.x)), right = static_cast<int>(std::lround(b.x));
    const auto top = static_cast<int>(std::lround(std::min(a.y, b.y))),
               bottom = static_cast<int>(std::lround(std::max(a.y, b.y)));
    canvas.fill({left, top, right - left, bottom - top}, c, 0.28 * s.opacity);
    if (outline.empty()) outline.push_back({a.x, b.y});
    outline.push_back({a.x, a.y});
    outline.push_back({b.x, a.y});
    if (i + 1 == s.y.size()) outline.push_back(b);
  }
  canvas.line(outline, c, 1.4, s.opacity);
}

void draw_series(Canvas& canvas, const Plot& plot, const Series& s, Colour c) {
  if (s.mark == Mark::bars) return draw_bars(canvas, plot, s, c);
  std::vector<Point> points;
  for (size_t i = 0; i < s.y.size(); ++i) points.push_back(plot.at(s.x[i], s.y[i]));
  if (s.mark == Mark::line && points.size() > 1) return canvas.line(points, c, 1.8, s.opacity);
  for (const Point& p : points) canvas.dot(p, s.mark == Mark::line ? 2.5 : 1.6, c, s.opacity);
}

void equalise(Scale& x, Scale& y, int width, int height) {
  const double unit = std::max((x.high - x.low) / width, (y.high - y.low) / height);
  const auto widen = [&](Scale& scale, int pixels) {
    const double centre = (scale.low + scale.high) / 2, half = unit * pixels / 2;
    scale.low = centre - half, scale.high = centre + half;
  };
  widen(x, width);
  widen(y, height);
}

}  // namespace

Figure draw_chart(const Chart& chart) {
  check(chart);
  std::vector<const std::vector<double>*> xs, ys;
  bool bars = false, dots = chart.equal_scales;
  for (const Series& s : chart.series) {
    xs.push_back(&s.x), ys.push_back(&s.y);
    bars = bars || s.mark == Mark::bars;
    dots = dots || s.mark == Mark::dots;
  }
  Plot plot{{}, settle(chart.x, "x", xs, dots ? 0.04 : 0, false), settle(chart.y, "y", ys, 0.05, bars)};

  // Heights first, since they do not depend on the labels of the y axis, whose width decides the rest.
  const auto title = wrap_text(chart.title, chart.width - 2 * margin, title_style);
  const auto legend = legend_lines(chart, chart.width - 2 * margin);
  const int head =
      margin + static_cast<int>(title.size()) * 23 + static_cast<int>(legend.size()) * line_height + 8;
  const int foot = margin + 20 + (chart.x.label.empty() ? 0 : 22);
  plot.area.y = head;
  plot.area.height = std::max(20, chart.height - head - foot);
  const auto place = [&] {
    int widest = 0;
    const auto ticks = ticks_of(plot.y, std::max(2, plot.area.height / 60));
    for (const Tick& tick : ticks) widest = std::max(widest, text_width(tick.label, tick_style));
    plot.area.x = margin + (chart.y.label.empty() ? 0 : 22) + widest + 8;
    plot.area.width = std::max(20, chart.width - plot.area.x - margin - 6);
    return ticks;
  };
  auto y_ticks = place();
  if (chart.equal_scales && !plot.x.log && !plot.y.log) {
    equalise(plot.x, plot.y, plot.area.width, plot.area.height);
    y_ticks = place();
    equalise(plot.x, plot.y, plot.area.width, plot.area.height);
  }
  const auto x_ticks = ticks_of(plot.x, std::max(2, plot.area.width / 90));
  const Rect area = plot.area;

  Canvas inside(area.width, area.height);
  for (const Tick& t : y_ticks)
    inside.fill({0, int(std::lround((1 - t.share) * (area.height - 1))), area.width, 1}, grid_line);
  for (const Tick& t : x_ticks)
    inside.fill({int(std::lround(t.share * (area.width - 1))), 0, 1, area.height}, grid_line);
  for (size_t i = 0; i < chart.series.size(); ++i)
    draw_series(inside, plot, chart.series[i], colour_of(chart, i));

  Canvas canvas(std::max(chart.width, area.x + area.width + margin),
                std::max(chart.height, area.y + area.height + foot));
  canvas.image(area.x, area.y, inside.to_tensor());
  canvas.fill({area.x - 1, area.y, 1, area.height + 1}, ink);
  canvas.fill({area.x - 1, area.y + area.height, area.width + 1, 1}, ink);
  for (size_t i = 0; i < title.size(); ++i) {
    canvas.text(margin, margin + 15 + static_cast<int>(i) * 23, title[i], title_style);
  }
  draw_legend(canvas, chart, legend, margin, margin + static_cast<int>(title.size()) * 23 + 13);
  TextStyle style = tick_style;
  style.align = Align::right;
  for (const Tick& t : y_ticks) {
    const int y = area.y + static_cast<int>(std::lround((1 - t.share) * (area.height - 1)));
    canvas.fill({area.x - 5, y, 4, 1}, ink);
    canvas.text(area.x - 8, y + 5, t.label, style);
  }
  style.align = Align::centre;
  int free_from = 0;  // a label that would touch the one before it is left out
  for (const Tick& t : x_ticks) {
    const int x = area.x + static_cast<int>(std::lround(t.share * (area.width - 1)));
    const int half = text_width(t.label, style) / 2 + 1;
    canvas.fill({x, area.y + area.height, 1, 5}, ink);
    if (x - half < free_from) continue;
    canvas.text(std::min(x, canvas.width() - half - 2), area.y + area.height + 18, t.label, style);
    free_from = x + half + 6;
  }
  const std::string x_label = fit_text(chart.x.label, area.width, label_style);
  canvas.text(area.x + area.width / 2, canvas.height() - margin - 1, x_label, label_style);
  style = label_style;
  style.upward = true;
  canvas.text(margin + 10, area.y + area.height / 2, fit_text(chart.y.label, area.height, label_style),
              style);
  return {canvas.to_tensor(), has_font()};
}

}  // namespace tweedie
