#include "report/canvas.h"

#include "report/font.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstring>

namespace tweedie {

namespace {

constexpr int largest = 32'768;

double distance_to_segment(Point p, Point a, Point b) {
  const double dx = b.x - a.x, dy = b.y - a.y, length2 = dx * dx + dy * dy;
  const double t = length2 == 0 ? 0 : std::clamp(((p.x - a.x) * dx + (p.y - a.y) * dy) / length2, 0.0, 1.0);
  return std::hypot(p.x - a.x - t * dx, p.y - a.y - t * dy);
}

bool is_finite(Point p) {
  return std::isfinite(p.x) && std::isfinite(p.y);
}

// Liang-Barsky: the part of a..b inside the box, so that a far-away point costs nothing. False when there is
// none.
bool clip(Point& a, Point& b, double left, double top, double right, double bottom) {
  const double dx = b.x - a.x, dy = b.y - a.y;
  double from = 0, to = 1;
  const auto cut = [&](double p, double q) {
    if (p == 0) return q >= 0;
    const double t = q / p;
    if (p < 0) from = std::max(from, t);
    if (p > 0) to = std::min(to, t);
    return from <= to;
  };
  if (!cut(-dx, a.x - left) || !cut(dx, right - a.x) || !cut(-dy, a.y - top) || !cut(dy, bottom - a.y))
    return false;
  const Point start = a;
  a = {start.x + from * dx, start.y + from * dy};
  b = {start.x + to * dx, start.y + to * dy};
  return true;
}

}  // namespace

Canvas::Canvas(int width, int height, Colour background) : width_(width), height_(height) {
  if (width < 1 || height < 1 || width > largest || height > largest) {
    throw Error("figure", fmt::format("{} x {} pixels; 1 to {} each way are meant", width, height, largest));
  }
  pixels_.assign(static_cast<size_t>(width) * height, background);
}

void Canvas::blend(int x, int y, Colour c, double opacity) {
  if (x < 0 || y < 0 || x >= width_ || y >= height_) return;
  Colour& pixel = pixels_[static_cast<size_t>(y) * width_ + x];
  pixel = mix(pixel, c, std::clamp(opacity, 0.0, 1.0));
}

void Canvas::fill(const Rect& rect, Colour c, double opacity) {
  const int right = std::min(rect.x + rect.width, width_), bottom = std::min(rect.y + rect.height, height_);
  for (int y = std::max(rect.y, 0); y < bottom; ++y) {
    for (int x = std::max(rect.x, 0); x < right; ++x) blend(x, y, c, opacity);
  }
}

void Canvas::frame(const Rect& r, Colour c) {
  fill({r.x, r.y, r.width, 1}, c);
  fill({r.x, r.y + r.height - 1, r.width, 1}, c);
  fill({r.x, r.y + 1, 1, r.height - 2}, c);
  fill({r.x + r.width - 1, r.y + 1, 1, r.height - 2}, c);
}

template <class Coverage>
void Canvas::cover(double left, double top, double right, double bottom, Colour c, double opacity,
                   Coverage coverage) {
  const auto bound = [](double v, int size) { return static_cast<int>(std::clamp(v, 0.0, double(size))); };
  const int x0 = bound(std::floor(left), width_), x1 = bound(std::ceil(right), width_);
  const int y0 = bound(std::floor(top), height_), y1 = bound(std::ceil(bottom), height_);
  for (int y = y0; y < y1; ++y) {
    for (int x = x0; x < x1; ++x) {
      const double share = std::clamp(coverage(Point{x + 0.5, y + 0.5}), 0.0, 1.0);
      if (share > 0) blend(x, y, c, share * opacity);
    }
  }
}

void Canvas::line(const std::vector<Point>& points, Colour c, double width, double opacity) {
  const double half = width / 2, margin = half + 1;
  // Coverage of the whole line first, so that joints of a translucent line are not drawn twice.
  std::vector<float> coverage(pixels_.size(), 0.0f);
  for (size_t i = 0; i + 1 < points.size(); ++i) {
    Point a = points[i], b = points[i + 1];
    if (!is_finite(a) || !is_finite(b)) continue;
    if (!clip(a, b, -margin, -margin, width_ + margin, height_ + margin)) continue;
    const int y0 = std::max(0, static_cast<int>(std::floor(std::min(a.y, b.y) - margin)));
    const int y1 = std::min(height_, static_cast<int>(std::ceil(std::max(a.y, b.y) + margin)));
    for (int y = y0; y < y1; ++y) {
      // Only the stretch of this row that the segment comes near.
      Point p = a, q = b;
      if (!clip(p, q, -margin, y - margin, width_ + margin, y + 1 + margin)) continue;
      const int x0 = std::max(0, static_cast<int>(std::floor(std::min(p.x, q.x) - margin)));
      const int x1 = std::min(width_, static_cast<int>(std::ceil(std::max(p.x, q.x) + margin)));
      for (int x = x0; x < x1; ++x) {
        const double share = half + 0.5 - distance_to_segment({x + 0.5, y + 0.5}, a, b);
        float& most = coverage[static_cast<size_t>(y) * width_ + x];
        most = std::max(most, static_cast<float>(std::clamp(share, 0.0, 1.0)));
      }
    }
  }
  for (size_t i = 0; i < pixels_.size(); ++i) {
    if (coverage[i] > 0) pixels_[i] = mix(pixels_[i], c, coverage[i] * opacity);
  }
}

void Canvas::dot(Point centre, double radius, Colour c, double opacity) {
  if (!is_finite(centre)) return;
  cover(centre.x - radius - 1, centre.y - radius - 1, centre.x + radius + 1, centre.y + radius + 1, c,
        opacity, [&](Point p) { return radius + 0.5 - std::hypot(p.x - centre.x, p.y - centre.y); });
}

void Canvas::image(int x, int y, const Tensor& image, int scale) {
  if (image.dim() != 3 || image.size(2) != 3 || image.scalar_type() != at::kByte) {
    throw Error("figure", "an image must be (H, W, 3) of bytes");
  }
  const Tensor bytes = image.cpu().contiguous();
  const uint8_t* in = bytes.data_ptr<uint8_t>();
  const auto rows = static_cast<int>(bytes.size(0)), columns = static_cast<int>(bytes.size(1));
  for (int i = 0; i < rows; ++i) {
    for (int j = 0; j < columns; ++j, in += 3) {
      fill({x + j * scale, y + i * scale, scale, scale}, {in[0], in[1], in[2]});
    }
  }
}

bool Canvas::text(int x, int y, std::string_view utf8, const TextStyle& style) {
  const int length = text_width(utf8, style);
  const int shift = style.align == Align::left ? 0 : style.align == Align::right ? length : length / 2;
  return lay_out(utf8, style.size, style.bold, [&](int pen, const Glyph& glyph) {
           for (int i = 0; i < glyph.height; ++i) {
             for (int j = 0; j < glyph.width; ++j) {
               const int along = pen - shift + glyph.left + j, up = glyph.top - i;
               const double share = glyph.coverage[i * glyph.width + j] / 255.0;
               if (share == 0) continue;
               style.upward ? blend(x - up, y - along, style.colour, share)
                            : blend(x + along, y - up, style.colour, share);
             }
           }
         }) >= 0;
}

Tensor Canvas::to_tensor() const {
  static_assert(sizeof(Colour) == 3);
  Tensor result = at::empty({height_, width_, 3}, at::TensorOptions().dtype(at::kByte));
  std::memcpy(result.data_ptr<uint8_t>(), pixels_.data(), pixels_.size() * sizeof(Colour));
  return result;
}

bool has_font() {
  return lay_out("", 13, false, [](int, const Glyph&) {}) >= 0;
}

int text_width(std::string_view utf8, const TextStyle& style) {
  const int width = lay_out(utf8, style.size, style.bold, [](int, const Glyph&) {});
  return width >= 0 ? width : static_cast<int>(utf8.size()) * style.size * 3 / 5;
}

std::string fit_text(std::string_view utf8, int width, const TextStyle& style) {
  if (text_width(utf8, style) <= width) return std::string(utf8);
  std::string best;
  for (std::string_view rest = utf8; !rest.empty();) {
    const std::string candidate = std::string(utf8.substr(0, utf8.size() - rest.size())) + "\u2026";
    if (text_width(candidate, style) > width) break;
    best = candidate;
    next_code_point(rest);
  }
  return best;
}

std::vector<std::string> wrap_text(std::string_view utf8, int width, const TextStyle& style) {
  std::vector<std::string> lines;
  std::string line;
  while (!utf8.empty()) {
    const size_t end = std::min(utf8.find(' '), utf8.size());
    const std::string_view word = utf8.substr(0, end);
    utf8.remove_prefix(std::min(end + 1, utf8.size()));
    std::string longer = line.empty() ? std::string(word) : line + ' ' + std::string(word);
    if (!line.empty() && text_width(longer, style) > width) {
      lines.push_back(fit_text(line, width, style));
      longer = word;
    }
    line = std::move(longer);
  }
  if (!line.empty()) lines.push_back(fit_text(line, width, style));
  return lines;
}

}  // namespace tweedie
