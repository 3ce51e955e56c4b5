#pragma once
// Charts on two axes: curves (losses), clouds of points (2-D samples) and histograms (1-D samples).

#include "report/canvas.h"

#include <optional>

namespace tweedie {

enum class Mark { line, dots, bars };

struct Series {
  std::string label = {};      // in the legend; none without one
  std::vector<double> x = {};  // for bars the n + 1 edges
  std::vector<double> y = {};
  Mark mark = Mark::line;
  std::optional<size_t> colour = {};  // index into palette(); by default the place in the chart
  double opacity = 1;
};

// samples: (N), drawn as a density whose area is 1; bins: 0 chooses them by the Freedman-Diaconis rule
Series histogram(const std::string& label, const Tensor& samples, int bins = 0);
// samples: (N, 2), more transparent the more there are
Series scatter(const std::string& label, const Tensor& samples);
// The exponential moving average over about `span` points, without the bias of the start; points that are not
// finite are left out.
Series smoothed(const Series& series, double span);

struct Axis {
  std::string label = {};
  bool log = false;  // values <= 0 are then left out
  std::optional<double> low = {}, high = {};
};

struct Chart {
  std::string title = {};
  Axis x = {}, y = {};
  std::vector<Series> series = {};
  bool equal_scales = false;  // a unit is as long on both axes
  int width = 640, height = 400;
};

// Values that are not finite break a curve and are otherwise left out. Throws Error when a series has not as
// many x as y, a linear axis' low is not below its high, or a log axis' low is not above 0.
Figure draw_chart(const Chart& chart);

}  // namespace tweedie
