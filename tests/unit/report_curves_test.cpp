#include "report/curves.h"
#include "report/ticks.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

using testing::DoubleNear;
using testing::ElementsAre;

TEST(Ticks, LinearAreNiceNumbers) {
  EXPECT_THAT(linear_ticks(0, 10, 5), ElementsAre(0, 2, 4, 6, 8, 10));
  EXPECT_THAT(linear_ticks(-1.2, 1.2, 5),
              ElementsAre(-1, DoubleNear(-0.5, 1e-12), 0, DoubleNear(0.5, 1e-12), 1));
  EXPECT_THAT(linear_ticks(0, 30'000, 6), ElementsAre(0, 5000, 10'000, 15'000, 20'000, 25'000, 30'000));
}

TEST(Ticks, LinearStayInsideAndAreAboutAsManyAsAsked) {
  for (const double width : {1e-8, 0.3, 1.0, 7.7, 1234.5, 1e9}) {
    for (const double low : {-3.3 * width, 0.0, 12.7 * width}) {
      const auto ticks = linear_ticks(low, low + width, 6);
      EXPECT_GE(ticks.size(), 3u);
      EXPECT_LE(ticks.size(), 11u);
      EXPECT_GE(ticks.front(), low - 1e-8 * width);
      EXPECT_LE(ticks.back(), low + width * (1 + 1e-8));
    }
  }
}

TEST(Ticks, LogAreDecadesOrOneTwoFive) {
  EXPECT_THAT(log_ticks(0.5, 2e4, 8), ElementsAre(1, 10, 100, 1000, 10'000));
  EXPECT_THAT(log_ticks(0.1, 1, 5),
              ElementsAre(DoubleNear(0.1, 1e-12), DoubleNear(0.2, 1e-12), DoubleNear(0.5, 1e-12), 1));
  EXPECT_LE(log_ticks(1e-30, 1e30, 6).size(), 11u);
  EXPECT_GE(log_ticks(3.0, 3.4, 5).size(), 2u);
}

TEST(Ticks, LabelsHaveTheDecimalsTheyNeed) {
  EXPECT_EQ(tick_label(0.5, 0.1), "0.5");
  EXPECT_EQ(tick_label(1, 0.25), "1.0");
  EXPECT_EQ(tick_label(-2, 1), "\u22122");
  EXPECT_EQ(tick_label(5000, 1000), "5000");
  EXPECT_EQ(tick_label(2e6, 1e6), "2\u00b710\u2076");
  EXPECT_EQ(log_tick_label(0.01), "0.01");
  EXPECT_EQ(log_tick_label(1e-5), "10\u207b\u2075");
  EXPECT_EQ(short_number(0.4434), "0.443");
  EXPECT_EQ(short_number(9.9999e-5), "10\u207b\u2074");
  EXPECT_EQ(short_number(-1.5e-7), "\u22121.5\u00b710\u207b\u2077");
  EXPECT_EQ(short_number(0), "0");
}

TEST(Histogram, IsADensity) {
  const Tensor x = at::linspace(-1, 3, 1001, at::kDouble);
  for (const int bins : {0, 1, 7}) {
    const Series s = histogram("x", x, bins);
    ASSERT_EQ(s.x.size(), s.y.size() + 1);
    double area = 0;
    for (size_t i = 0; i < s.y.size(); ++i) {
      area += s.y[i] * (s.x[i + 1] - s.x[i]);
      EXPECT_NEAR(s.y[i], 0.25, 0.02);
    }
    EXPECT_NEAR(area, 1, 1e-9);
  }
}

TEST(Histogram, DegenerateSamples) {
  EXPECT_TRUE(histogram("x", at::zeros({0})).y.empty());
  EXPECT_TRUE(histogram("x", at::full({4}, NAN)).y.empty());
  EXPECT_FALSE(histogram("x", at::ones({4})).y.empty());
  EXPECT_THROW(histogram("x", at::ones({4, 2})), Error);
  EXPECT_THROW(scatter("x", at::ones({4, 3})), Error);
}

TEST(Smoothed, KeepsAConstantAndAveragesWithoutBias) {
  Series s{.label = "s", .x = {0, 1, 2, 3}, .y = {2, 2, NAN, 2}};
  EXPECT_THAT(smoothed(s, 10).y,
              ElementsAre(DoubleNear(2, 1e-12), DoubleNear(2, 1e-12), DoubleNear(2, 1e-12)));
  EXPECT_THAT(smoothed(s, 10).x, ElementsAre(0, 1, 3));
  s = {.label = "s", .x = {0, 1}, .y = {0, 1}};
  const double keep = std::exp(-0.1);
  EXPECT_NEAR(smoothed(s, 10).y[1], 1 / (1 + keep), 1e-12);
}

int64_t pixels_of(const Figure& figure, Colour c) {
  const Tensor t = figure.image;
  return (t.select(2, 0) == c.r)
      .logical_and(t.select(2, 1) == c.g)
      .logical_and(t.select(2, 2) == c.b)
      .sum()
      .item<int64_t>();
}

TEST(Chart, HasTheSizeAskedForAndDrawsItsSeries) {
  Chart chart{.title = "loss", .x = {"step"}, .y = {"loss", true}};
  chart.series = {{.label = "a", .x = {0, 1, 2}, .y = {1, 0.1, 0.01}},
                  {.label = "b", .x = {0, 2}, .y = {1, 1}}};
  const Figure figure = draw_chart(chart);
  EXPECT_EQ(figure.image.sizes(), (at::IntArrayRef{400, 640, 3}));
  EXPECT_EQ(figure.has_words, has_font());
  EXPECT_GT(pixels_of(figure, palette(0)), 100);
  EXPECT_GT(pixels_of(figure, palette(1)), 100);
}

TEST(Chart, OddDataIsDrawnAllTheSame) {
  for (const bool log : {false, true}) {
    for (const auto& y : std::vector<std::vector<double>>{{},
                                                          {1},
                                                          {3, 3},
                                                          {NAN, NAN},
                                                          {-1, 0},
                                                          {INFINITY, 1},
                                                          {1e300, -1e300},
                                                          {1e308, -1e308},
                                                          {1e300, 1e-300},
                                                          {1e-310, 1e-320},
                                                          {1e17, 1e17 + 64}}) {
      std::vector<double> x(y.size());
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<double>(i);
      for (const Mark mark : {Mark::line, Mark::dots}) {
        const Chart chart{.y = {"y", log}, .series = {{.label = "s", .x = x, .y = y, .mark = mark}}};
        EXPECT_EQ(draw_chart(chart).image.size(0), 400);
      }
    }
  }
  EXPECT_NO_THROW(draw_chart({}));
  EXPECT_NO_THROW(draw_chart({.series = {histogram("h", at::zeros({0})), scatter("s", at::zeros({0, 2}))}}));
}

TEST(Chart, RefusesWhatMakesNoSense) {
  EXPECT_THROW(draw_chart({.series = {{.label = "s", .x = {1}, .y = {1, 2}}}}), Error);
  EXPECT_THROW(draw_chart({.x = {.label = "x", .low = 2, .high = 1}}), Error);
  EXPECT_THROW(draw_chart({.x = {.label = "x", .log = true, .low = 0, .high = 1}}), Error);
}

TEST(Chart, EqualScalesMakeACircleRound) {
  Chart chart{.equal_scales = true, .width = 500, .height = 300};
  Series s{.label = ""};
  for (int i = 0; i <= 100; ++i) {
    s.x.push_back(std::cos(i * 0.062832));
    s.y.push_back(std::sin(i * 0.062832));
  }
  chart.series = {s};
  const Tensor t = draw_chart(chart).image.to(at::kInt);
  // The curve is the only blue thing on a gray and white chart.
  const Tensor blue = (t.select(2, 2) - t.select(2, 0)) > 60;
  const int64_t height = blue.any(1).sum().item<int64_t>(), width = blue.any(0).sum().item<int64_t>();
  EXPECT_GT(height, 100);
  EXPECT_NEAR(static_cast<double>(width), static_cast<double>(height), 3);
}

}  // namespace
}  // namespace tweedie
