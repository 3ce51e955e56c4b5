#include "report/panels.h"

#include "core/shape.h"
#include "report/ticks.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr int margin = 18, gap = 8, group_gap = 20, row_gap = 14, line_height = 17, title_height = 24,
              bar_height = 9;
constexpr int largest_panel = 320;
constexpr Colour soft{110, 110, 110}, border{205, 205, 205};
const TextStyle title_style{.size = 17, .bold = true}, heading_style{.size = 13, .align = Align::centre},
    caption_style{.size = 12, .colour = soft}, bar_style{.size = 11, .colour = soft};

// (C, H, W) float64, C 1 or 3, not larger than largest_panel.
Tensor as_image(const Tensor& image) {
  const bool flat = image.dim() == 2;
  const bool fits = flat || (image.dim() == 3 && (image.size(0) == 1 || image.size(0) == 3));
  if (!fits || image.numel() == 0 || image.is_complex()) {
    throw Error("figure", fmt::format("a panel of shape {}; (H, W), (1, H, W) or (3, H, W), real, is meant",
                                      to_string(image.sizes())));
  }
  Tensor x = (flat ? image.unsqueeze(0) : image).detach().to(at::kCPU, at::kDouble);
  const int64_t longest = std::max(x.size(1), x.size(2));
  if (const int64_t factor = (longest + largest_panel - 1) / largest_panel; factor > 1) {
    x = at::avg_pool2d(x.unsqueeze(0), {factor, factor}, {factor, factor}, {0, 0}, /*ceil_mode=*/true)
            .squeeze(0);
  }
  return x.contiguous();
}

std::vector<std::vector<Tensor>> as_images(const PanelGrid& grid) {
  std::vector<std::vector<Tensor>> result;
  for (const PanelRow& row : grid.rows) {
    if (row.images.size() != grid.columns.size()) {
      throw Error("figure",
                  fmt::format("{} images in a row of {} columns", row.images.size(), grid.columns.size()));
    }
    auto& images = result.emplace_back();
    for (const Tensor& image : row.images) images.push_back(image.defined() ? as_image(image) : Tensor());
  }
  return result;
}

int enlargement(const Tensor& image, int size) {
  return std::max<int>(1, static_cast<int>(size / std::max(image.size(1), image.size(2))));
}

ValueRange range_of(const PanelColumn& column, const std::vector<std::vector<Tensor>>& images, size_t index) {
  if (column.range) return *column.range;
  double low = std::numeric_limits<double>::infinity(), high = -low;
  for (const auto& row : images) {
    if (!row[index].defined()) continue;
    const Tensor finite = row[index].masked_select(at::isfinite(row[index]));
    if (finite.numel() == 0) continue;
    low = std::min(low, finite.min().item<double>());
    high = std::max(high, finite.max().item<double>());
  }
  if (low > high) return {};
  if (column.map == ColourMap::sequential) low = std::min(0.0, low);
  if (column.map == ColourMap::diverging) {
    high = std::max(std::abs(low), std::abs(high));
    low = -high;
  }
  return low < high ? ValueRange{low, high} : ValueRange{low, low + 1};
}

// (C, H, W) to (H, W, 3) bytes
Tensor coloured(const Tensor& image, ColourMap map, const ValueRange& range) {
  const int64_t rows = image.size(1), columns = image.size(2), plane = rows * columns;
  Tensor result = at::empty({rows, columns, 3}, at::TensorOptions().dtype(at::kByte));
  auto* out = result.data_ptr<uint8_t>();
  const auto* in = image.data_ptr<double>();
  const auto share = [&](double value) { return (value - range.low) / (range.high - range.low); };
  for (int64_t i = 0; i < plane; ++i, out += 3) {
    Colour c = colour(map, share(in[i]));
    if (image.size(0) == 3 && std::isfinite(in[i] + in[plane + i] + in[2 * plane + i])) {
      const auto channel = [&](int64_t k) { return colour(ColourMap::gray, share(in[k * plane + i])).r; };
      c = {channel(0), channel(1), channel(2)};
    }
    out[0] = c.r, out[1] = c.g, out[2] = c.b;
  }
  return result;
}

PanelLayout lay_out(const PanelGrid& grid, const std::vector<std::vector<Tensor>>& images) {
  int cell_width = 24, cell_height = 24;
  for (const auto& row : images) {
    for (const Tensor& image : row) {
      if (!image.defined()) continue;
      // Round to the nearest whole factor: 28 pixels become 112, 64 become 128.
      const auto longest = static_cast<int>(std::max(image.size(1), image.size(2)));
      const int scale = std::max(1, static_cast<int>(std::lround(double(grid.panel_size) / longest)));
      cell_width = std::max(cell_width, static_cast<int>(image.size(2)) * scale);
      cell_height = std::max(cell_height, static_cast<int>(image.size(1)) * scale);
    }
  }
  PanelLayout layout{};
  std::vector<int> left;
  int x = margin;
  for (const PanelColumn& column : grid.columns) {
    if (!left.empty()) x += column.new_group ? group_gap : gap;
    left.push_back(x);
    x += cell_width;
  }
  layout.width = std::max(x, margin + cell_width) + margin;
  const int inside = layout.width - 2 * margin;
  layout.title = wrap_text(grid.title, inside, title_style);
  int y = margin + static_cast<int>(layout.title.size()) * title_height;
  if (!layout.title.empty()) y += 4;
  for (const int l : left) layout.headings.push_back({l, y, cell_width, line_height});
  y += line_height + 3;
  for (const PanelRow& row : grid.rows) {
    auto& panels = layout.panels.emplace_back();
    for (const int l : left) panels.push_back({l, y, cell_width, cell_height});
    layout.captions.push_back(wrap_text(row.caption, inside, caption_style));
    y += cell_height;
    if (!row.caption.empty()) y += 3 + static_cast<int>(layout.captions.back().size()) * line_height;
    y += row_gap;
  }
  bool any_bar = false;
  for (size_t i = 0; i < grid.columns.size(); ++i) {
    layout.bars.push_back({left[i], y, grid.columns[i].colour_bar ? cell_width : 0, bar_height});
    any_bar = any_bar || grid.columns[i].colour_bar;
  }
  y += any_bar ? bar_height + line_height : -row_gap;
  layout.height = y + margin;
  return layout;
}

void draw_bar(Canvas& canvas, const Rect& bar, ColourMap map, const ValueRange& range) {
  for (int i = 0; i < bar.width; ++i) {
    canvas.fill({bar.x + i, bar.y, 1, bar.height}, colour(map, i / std::max(1.0, bar.width - 1.0)));
  }
  const int baseline = bar.y + bar.height + 13;
  TextStyle style = bar_style;
  canvas.text(bar.x, baseline, short_number(range.low), style);
  style.align = Align::right;
  canvas.text(bar.x + bar.width, baseline, short_number(range.high), style);
}

}  // namespace

PanelLayout lay_out(const PanelGrid& grid) {
  return lay_out(grid, as_images(grid));
}

Figure draw_panels(const PanelGrid& grid) {
  const auto images = as_images(grid);
  const PanelLayout layout = lay_out(grid, images);
  Canvas canvas(layout.width, layout.height);
  for (size_t i = 0; i < layout.title.size(); ++i) {
    canvas.text(margin, margin + 16 + static_cast<int>(i) * title_height, layout.title[i], title_style);
  }
  for (size_t j = 0; j < grid.columns.size(); ++j) {
    const PanelColumn& column = grid.columns[j];
    const Rect& heading = layout.headings[j];
    canvas.text(heading.x + heading.width / 2, heading.y + 13,
                fit_text(column.title, heading.width, heading_style), heading_style);
    const ValueRange range = range_of(column, images, j);
    for (size_t i = 0; i < images.size(); ++i) {
      const Tensor& image = images[i][j];
      const Rect& cell = layout.panels[i][j];
      if (!image.defined()) continue;
      const int scale = enlargement(image, std::max(cell.width, cell.height));
      const int width = static_cast<int>(image.size(2)) * scale,
                height = static_cast<int>(image.size(1)) * scale;
      const int x = cell.x + (cell.width - width) / 2, y = cell.y + (cell.height - height) / 2;
      canvas.frame({x - 1, y - 1, width + 2, height + 2}, border);
      canvas.image(x, y, coloured(image, column.map, range), scale);
    }
    if (layout.bars[j].width > 0) draw_bar(canvas, layout.bars[j], column.map, range);
  }
  for (size_t i = 0; i < images.size(); ++i) {
    const int bottom = layout.panels[i].empty() ? 0 : layout.panels[i][0].y + layout.panels[i][0].height;
    for (size_t k = 0; k < layout.captions[i].size(); ++k) {
      canvas.text(margin, bottom + 16 + static_cast<int>(k) * line_height, layout.captions[i][k],
                  caption_style);
    }
  }
  return {canvas.to_tensor(), has_font()};
}

}  // namespace tweedie
