#include "report/colour.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace tweedie {
namespace {

TEST(Colour, LightnessKnownAnswers) {
  EXPECT_NEAR(lightness({255, 255, 255}), 100, 0.01);
  EXPECT_NEAR(lightness({0, 0, 0}), 0, 1e-9);
  EXPECT_NEAR(lightness({119, 119, 119}), 50, 0.1);  // sRGB 119 is L* = 50.03
}

// A jet-like rainbow is not monotone and would fail here.
TEST(Colour, SequentialLightnessRisesEvenly) {
  double before = lightness(colour(ColourMap::sequential, 0));
  for (int i = 1; i <= 256; ++i) {
    const double now = lightness(colour(ColourMap::sequential, i / 256.0));
    EXPECT_NEAR(now - before, 80.0 / 256, 0.5) << i;  // 0.5: bytes and the edge of the sRGB gamut
    before = now;
  }
  EXPECT_NEAR(before, 92, 1);
}

TEST(Colour, GrayIsMonotoneAndReachesBothEnds) {
  for (int i = 0; i <= 255; ++i) {
    const auto v = static_cast<uint8_t>(i);
    EXPECT_EQ(colour(ColourMap::gray, i / 255.0), (Colour{v, v, v}));
  }
}

TEST(Colour, DivergingIsLightestInTheMiddleAndEvenOnBothSides) {
  for (int i = 0; i < 50; ++i) {
    const double near = 0.5 - i / 100.0, far = near - 0.01;
    const double left = lightness(colour(ColourMap::diverging, near));
    const double right = lightness(colour(ColourMap::diverging, 1 - near));
    EXPECT_NEAR(left, right, 3) << near;
    EXPECT_GT(left, lightness(colour(ColourMap::diverging, far))) << near;
    EXPECT_GT(right, lightness(colour(ColourMap::diverging, 1 - far))) << near;
  }
}

TEST(Colour, OutOfRangeIsClampedAndNanIsMissing) {
  for (const ColourMap map : {ColourMap::gray, ColourMap::sequential, ColourMap::diverging}) {
    EXPECT_EQ(colour(map, -3), colour(map, 0));
    EXPECT_EQ(colour(map, INFINITY), colour(map, 1));
    EXPECT_EQ(colour(map, NAN), missing);
  }
}

TEST(Colour, MixAndPalette) {
  EXPECT_EQ(mix({0, 0, 0}, {200, 100, 50}, 0.5), (Colour{100, 50, 25}));
  EXPECT_EQ(palette(0), palette(7));
  for (size_t i = 0; i < 7; ++i) {
    for (size_t j = 0; j < i; ++j) EXPECT_FALSE(palette(i) == palette(j));
    EXPECT_LT(lightness(palette(i)), 75) << "too pale on white";
  }
}

}  // namespace
}  // namespace tweedie
