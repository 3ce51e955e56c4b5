#include "report/colour.h"

#include <algorithm>
#include <array>
#include <cmath>

namespace tweedie {

namespace {

struct Lab {
  double l, a, b;
};

uint8_t to_byte(double x) {
  return static_cast<uint8_t>(std::lround(255 * std::clamp(x, 0.0, 1.0)));
}

double to_linear(uint8_t value) {
  const double s = value / 255.0;
  return s <= 0.04045 ? s / 12.92 : std::pow((s + 0.055) / 1.055, 2.4);
}

// CIE L*a*b* (D65) to sRGB, IEC 61966-2-1.
Colour to_rgb(const Lab& lab) {
  const auto inverse = [](double t) {
    return t > 6.0 / 29 ? t * t * t : 3 * (6.0 / 29) * (6.0 / 29) * (t - 4.0 / 29);
  };
  const double fy = (lab.l + 16) / 116;
  const double x = 0.95047 * inverse(fy + lab.a / 500), y = inverse(fy),
               z = 1.08883 * inverse(fy - lab.b / 200);
  const auto gamma = [](double v) {
    return v <= 0.0031308 ? 12.92 * v : 1.055 * std::pow(v, 1 / 2.4) - 0.055;
  };
  return {to_byte(gamma(3.2406 * x - 1.5372 * y - 0.4986 * z)),
          to_byte(gamma(-0.9689 * x + 1.8758 * y + 0.0415 * z)),
          to_byte(gamma(0.0557 * x - 0.2040 * y + 1.0570 * z))};
}

// Anchors at even spacing, so that lightness linear in the anchors is linear in t.
template <size_t N>
Colour through(const std::array<Lab, N>& anchors, double t) {
  const double position = t * (N - 1);
  const auto i = std::min(static_cast<size_t>(position), N - 2);
  const double u = position - static_cast<double>(i);
  const Lab &p = anchors[i], &q = anchors[i + 1];
  return to_rgb({p.l + u * (q.l - p.l), p.a + u * (q.a - p.a), p.b + u * (q.b - p.b)});
}

// Hue turns from violet over blue and green to yellow while lightness climbs from 12 to 92 by equal steps.
constexpr std::array<Lab, 9> sequential{{{12, 30, -28},
                                         {22, 28, -38},
                                         {32, 14, -38},
                                         {42, -4, -30},
                                         {52, -20, -16},
                                         {62, -34, 4},
                                         {72, -40, 30},
                                         {82, -28, 60},
                                         {92, -10, 76}}};

constexpr std::array<Lab, 5> diverging{
    {{30, 12, -52}, {62, -4, -38}, {96, 0, 0}, {62, 42, 30}, {30, 46, 28}}};

}  // namespace

Colour colour(ColourMap map, double t) {
  if (std::isnan(t)) return missing;
  t = std::clamp(t, 0.0, 1.0);
  switch (map) {
    case ColourMap::gray:
      return {to_byte(t), to_byte(t), to_byte(t)};
    case ColourMap::sequential:
      return through(sequential, t);
    case ColourMap::diverging:
      return through(diverging, t);
  }
  return {};
}

double lightness(Colour c) {
  const double y = 0.2126 * to_linear(c.r) + 0.7152 * to_linear(c.g) + 0.0722 * to_linear(c.b);
  return y > 216.0 / 24389 ? 116 * std::cbrt(y) - 16 : y * 24389 / 27;
}

Colour palette(size_t index) {
  static constexpr std::array<Colour, 7> colours{{{31, 92, 153},
                                                  {201, 87, 30},
                                                  {35, 131, 85},
                                                  {140, 74, 150},
                                                  {196, 160, 20},
                                                  {80, 170, 210},
                                                  {90, 90, 90}}};
  return colours[index % colours.size()];
}

Colour mix(Colour a, Colour b, double share) {
  const auto one = [&](uint8_t p, uint8_t q) {
    return static_cast<uint8_t>(std::lround(p + share * (q - p)));
  };
  return {one(a.r, b.r), one(a.g, b.g), one(a.b, b.b)};
}

}  // namespace tweedie
