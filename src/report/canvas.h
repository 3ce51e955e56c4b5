#pragma once
// A raster image to draw on. Coordinates are pixels, x to the right and y down; a pixel's centre is at (i +
// 0.5, j + 0.5). Whatever falls outside is cut off.

#include "report/colour.h"
#include "tweedie/tensor.h"

#include <string>
#include <string_view>
#include <vector>

namespace tweedie {

struct Point {
  double x = 0, y = 0;
};

struct Rect {
  int x = 0, y = 0, width = 0, height = 0;
};

enum class Align { left, centre, right };

struct TextStyle {
  int size = 13;  // pixels per em
  Colour colour = {34, 34, 34};
  Align align = Align::left;
  bool bold = false;
  bool upward = false;  // turned by 90 degrees, reading from bottom to top
};

class Canvas {
 public:
  Canvas(int width, int height, Colour background = {255, 255, 255});

  int width() const { return width_; }
  int height() const { return height_; }
  Colour at(int x, int y) const { return pixels_[static_cast<size_t>(y) * width_ + x]; }

  void fill(const Rect& rect, Colour colour, double opacity = 1);
  // A frame one pixel wide just inside rect.
  void frame(const Rect& rect, Colour colour);
  // Antialiased, with round ends; width in pixels. Points that are not finite break the line.
  void line(const std::vector<Point>& points, Colour colour, double width = 1.5, double opacity = 1);
  void dot(Point centre, double radius, Colour colour, double opacity = 1);
  // image: (H, W, 3) uint8, each pixel drawn as a square of `scale` pixels
  void image(int x, int y, const Tensor& image, int scale = 1);

  // y: the baseline; x: the left end, middle or right end as style.align says (for upward text x and y change
  // roles). Returns whether it could be drawn: without the font a figure has no words, but is a figure.
  bool text(int x, int y, std::string_view utf8, const TextStyle& style = {});

  // (H, W, 3) uint8
  Tensor to_tensor() const;

 private:
  void blend(int x, int y, Colour colour, double opacity);
  // Blends the pixels of box by coverage(pixel centre) in [0, 1].
  template <class Coverage>
  void cover(double left, double top, double right, double bottom, Colour colour, double opacity,
             Coverage coverage);

  int width_, height_;
  std::vector<Colour> pixels_;
};

// What every figure of report/ is.
struct Figure {
  Tensor image;    // (H, W, 3) uint8
  bool has_words;  // false when the font is missing
};

// Whether the font is there, and what a line of text measures in pixels (an estimate when it is not).
bool has_font();
int text_width(std::string_view utf8, const TextStyle& style = {});
// The longest prefix that fits into width, with an ellipsis when it is not all.
std::string fit_text(std::string_view utf8, int width, const TextStyle& style = {});
// Lines no wider than width, broken at spaces (a longer word is cut as by fit_text).
std::vector<std::string> wrap_text(std::string_view utf8, int width, const TextStyle& style = {});

}  // namespace tweedie
