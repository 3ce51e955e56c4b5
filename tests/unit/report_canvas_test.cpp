#include "report/canvas.h"

#include "report/font.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

constexpr Colour white{255, 255, 255}, black{0, 0, 0};

int count_not(const Canvas& canvas, Colour c) {
  int count = 0;
  for (int y = 0; y < canvas.height(); ++y) {
    for (int x = 0; x < canvas.width(); ++x) count += !(canvas.at(x, y) == c);
  }
  return count;
}

TEST(Canvas, FillIsExactAndCutOff) {
  Canvas canvas(10, 8);
  canvas.fill({2, 3, 4, 2}, black);
  EXPECT_EQ(count_not(canvas, white), 8);
  EXPECT_EQ(canvas.at(2, 3), black);
  EXPECT_EQ(canvas.at(5, 4), black);
  EXPECT_EQ(canvas.at(6, 4), white);
  canvas.fill({-100, -100, 1000, 1000}, black);
  EXPECT_EQ(count_not(canvas, white), 80);
}

TEST(Canvas, FrameIsOnePixelInside) {
  Canvas canvas(10, 10);
  canvas.frame({1, 1, 5, 4}, black);
  EXPECT_EQ(count_not(canvas, white), 2 * 5 + 2 * 2);
}

// Ink of an antialiased line = length x width, whatever the direction; round ends add pi width^2 / 4.
TEST(Canvas, LineHasItsWidthInEveryDirection) {
  for (const Point end : {Point{90, 20}, Point{90, 55}, Point{60, 90}, Point{20, 90}}) {
    Canvas canvas(110, 110);
    const double width = 3, length = std::hypot(end.x - 20, end.y - 20);
    canvas.line({{20, 20}, end}, black, width);
    double ink = 0;
    for (int y = 0; y < 110; ++y) {
      for (int x = 0; x < 110; ++x) ink += (255 - canvas.at(x, y).r) / 255.0;
    }
    const double expected = length * width + 3.1416 * width * width / 4;
    EXPECT_NEAR(ink, expected, 0.03 * expected);
  }
}

TEST(Canvas, BadPointsDoNoHarm) {
  Canvas canvas(20, 20);
  canvas.line({{NAN, 1}, {1, 1}, {INFINITY, 3}}, black);
  canvas.dot({NAN, NAN}, 3, black);
  EXPECT_EQ(count_not(canvas, white), 0);
  canvas.line({{-1e15, 10}, {1e15, 10}}, black, 2);
  EXPECT_EQ(canvas.at(0, 10), black);
  EXPECT_EQ(canvas.at(19, 10), black);
  EXPECT_EQ(count_not(canvas, white), 40);
}

TEST(Canvas, ImagesGrowByWholePixels) {
  Canvas canvas(10, 10);
  Tensor image = at::zeros({1, 2, 3}, at::TensorOptions().dtype(at::kByte));
  image[0][1][0] = 200;
  canvas.image(1, 2, image, 3);
  EXPECT_EQ(canvas.at(1, 2), black);
  EXPECT_EQ(canvas.at(3, 4), black);
  EXPECT_EQ(canvas.at(4, 2), (Colour{200, 0, 0}));
  EXPECT_EQ(canvas.at(6, 4), (Colour{200, 0, 0}));
  EXPECT_EQ(count_not(canvas, white), 18);
  EXPECT_THROW(canvas.image(0, 0, at::zeros({2, 2, 3})), Error);
}

TEST(Canvas, TensorHasTheSamePixels) {
  Canvas canvas(4, 3);
  canvas.fill({1, 2, 1, 1}, {10, 20, 30});
  const Tensor t = canvas.to_tensor();
  EXPECT_EQ(t.sizes(), (at::IntArrayRef{3, 4, 3}));
  EXPECT_EQ(t[2][1][0].item<int>(), 10);
  EXPECT_EQ(t[2][1][2].item<int>(), 30);
  EXPECT_EQ(t[0][0][1].item<int>(), 255);
}

TEST(Canvas, RefusesAbsurdSizes) {
  EXPECT_THROW(Canvas(0, 5), Error);
  EXPECT_THROW(Canvas(5, 1'000'000), Error);
}

TEST(Text, IsDrawnAboveItsBaselineFromItsLeftEnd) {
  if (!has_font()) GTEST_SKIP() << "no DejaVu Sans here";
  Canvas canvas(200, 40);
  EXPECT_TRUE(canvas.text(20, 25, "HEH", {.size = 14}));
  EXPECT_GT(count_not(canvas, white), 50);
  const int width = text_width("HEH", {.size = 14});
  for (int y = 0; y < 40; ++y) {
    for (int x = 0; x < 200; ++x) {
      const bool inside = x >= 20 && x < 20 + width && y >= 12 && y < 25;
      EXPECT_TRUE(inside || canvas.at(x, y) == white) << x << ", " << y;
    }
  }
}

TEST(Text, UpwardIsTheSameTurned) {
  if (!has_font()) GTEST_SKIP() << "no DejaVu Sans here";
  Canvas across(60, 60), upward(60, 60);
  across.text(5, 30, "ab", {});
  upward.text(30, 55, "ab", {.upward = true});
  for (int y = 0; y < 60; ++y) {
    for (int x = 1; x < 60; ++x) EXPECT_EQ(across.at(x, y), upward.at(y, 60 - x));
  }
  EXPECT_EQ(count_not(across, white), count_not(upward, white));
}

TEST(Text, AnyBytesAreSafe) {
  Canvas canvas(50, 20);
  canvas.text(0, 15, "\xff\xc3(\xe2\x82", {});
  canvas.text(-30, 15, "outside", {});
  canvas.text(45, 300, "outside", {});
  std::string_view text = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\xff";
  for (const uint32_t code : {0x61u, 0xE9u, 0x20ACu, 0x1F600u, 0xFFFDu})
    EXPECT_EQ(next_code_point(text), code);
  EXPECT_TRUE(text.empty());
}

TEST(Text, FitsAndWraps) {
  EXPECT_EQ(fit_text("short", 1000), "short");
  const std::string cut = fit_text("a rather long caption", 60);
  EXPECT_LE(text_width(cut), 60);
  EXPECT_NE(cut.find("\u2026"), std::string::npos);
  const auto lines = wrap_text("one two three four five six seven", 80);
  EXPECT_GT(lines.size(), 1u);
  std::string joined;
  for (const auto& line : lines) {
    EXPECT_LE(text_width(line), 80);
    joined += (joined.empty() ? "" : " ") + line;
  }
  EXPECT_EQ(joined, "one two three four five six seven");
  EXPECT_TRUE(wrap_text("", 80).empty());
}

}  // namespace
}  // namespace tweedie
