#pragma once
// Colours for numbers: maps from [0, 1] to sRGB, and the palette of curves.

#include <cstddef>
#include <cstdint>

namespace tweedie {

struct Colour {
  uint8_t r = 0, g = 0, b = 0;
  bool operator==(const Colour&) const = default;
};

inline constexpr Colour missing{198, 214, 234};  // pale blue

enum class ColourMap {
  gray,        // black to white
  sequential,  // dark violet over teal to yellow, lightness rising evenly: for a magnitude
  diverging,   // blue over near-white to red, equally dark on both sides: for a signed value, 0 at the middle
};

// t: clamped to [0, 1]; NaN, for what was not measured, is `missing`.
Colour colour(ColourMap map, double t);

// CIE L* in [0, 100]
double lightness(Colour colour);

// Colours that keep apart for colour-blind readers as well, repeated after the last.
Colour palette(size_t index);

// share of b in [0, 1], linear in sRGB values
Colour mix(Colour a, Colour b, double share);

}  // namespace tweedie
