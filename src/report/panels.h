#pragma once
// A grid of images: a row for each case, a column for each quantity (measurement, truth, mean, std, |error|,
// draws).

#include "report/canvas.h"

#include <optional>

namespace tweedie {

struct ValueRange {
  double low = 0, high = 1;
};

struct PanelColumn {
  std::string title = {};
  ColourMap map = ColourMap::gray;
  // What the ends of the map stand for; by default what the column holds: its minimum to its maximum, from 0
  // for a sequential map, and symmetric about 0 for a diverging one.
  std::optional<ValueRange> range = {};
  bool colour_bar = false;
  bool new_group = false;  // set off from the columns to the left
};

struct PanelRow {
  // One for each column: (H, W), (1, H, W), or (3, H, W) for colour, of any real dtype; an undefined Tensor
  // leaves its panel out. NaN marks a pixel that was not measured.
  std::vector<Tensor> images = {};
  std::string caption = {};
};

struct PanelGrid {
  std::string title = {};
  std::vector<PanelColumn> columns = {};
  std::vector<PanelRow> rows = {};
  int panel_size = 112;  // pixels of a panel's longer side, at least about this: images grow by whole factors
};

// Where everything goes, in pixels.
struct PanelLayout {
  int width, height;
  std::vector<std::string> title;                  // its lines
  std::vector<Rect> headings;                      // of the columns
  std::vector<std::vector<Rect>> panels;           // row, column
  std::vector<std::vector<std::string>> captions;  // row, line
  std::vector<Rect> bars;                          // of the columns; no width without one
};

PanelLayout lay_out(const PanelGrid& grid);

// Throws Error when a row has not one image for each column, or an image another shape or dtype.
Figure draw_panels(const PanelGrid& grid);

}  // namespace tweedie
