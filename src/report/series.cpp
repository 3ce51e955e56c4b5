// From samples and logs to the series of a chart.

#include "core/shape.h"
#include "report/curves.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

std::vector<double> to_vector(const Tensor& x) {
  const Tensor values = x.detach().to(at::kCPU, at::kDouble).contiguous();
  return {values.data_ptr<double>(), values.data_ptr<double>() + values.numel()};
}

}  // namespace

Series histogram(const std::string& label, const Tensor& samples, int bins) {
  if (samples.dim() != 1)
    throw Error("figure", fmt::format("a histogram of shape {}; (N,) is meant", to_string(samples.sizes())));
  std::vector<double> values = to_vector(samples);
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  Series result{.label = label, .mark = Mark::bars};
  if (values.empty()) return result;
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  double low = values.front(), high = values.back();
  if (bins <= 0) {
    const double width = 2 * (values[n - 1 - n / 4] - values[n / 4]) / std::cbrt(static_cast<double>(n));
    bins = width > 0 ? static_cast<int>(std::clamp(std::ceil((high - low) / width), 1.0, 200.0)) : 20;
  }
  if (!(high > low)) low -= 0.5, high += 0.5;
  const double width = (high - low) / bins;
  result.y.assign(bins, 0);
  for (int i = 0; i <= bins; ++i) result.x.push_back(low + i * width);
  for (const double v : values) {
    result.y[std::clamp(static_cast<int>((v - low) / width), 0, bins - 1)] +=
        1 / (static_cast<double>(n) * width);
  }
  return result;
}

Series scatter(const std::string& label, const Tensor& samples) {
  if (samples.dim() != 2 || samples.size(1) != 2) {
    throw Error("figure", fmt::format("a scatter of shape {}; (N, 2) is meant", to_string(samples.sizes())));
  }
  const double opacity =
      std::clamp(600.0 / std::max<double>(1, static_cast<double>(samples.size(0))), 0.12, 0.75);
  return {.label = label,
          .x = to_vector(samples.select(1, 0)),
          .y = to_vector(samples.select(1, 1)),
          .mark = Mark::dots,
          .opacity = opacity};
}

Series smoothed(const Series& series, double span) {
  Series result = series;
  result.x.clear(), result.y.clear();
  const double keep = std::exp(-1 / std::max(span, 1e-9));
  double sum = 0, weight = 0;
  for (size_t i = 0; i < std::min(series.x.size(), series.y.size()); ++i) {
    if (!std::isfinite(series.y[i])) continue;
    sum = keep * sum + (1 - keep) * series.y[i];
    weight = keep * weight + (1 - keep);
    result.x.push_back(series.x[i]);
    result.y.push_back(sum / weight);
  }
  return result;
}

}  // namespace tweedie
