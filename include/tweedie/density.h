#pragma once
// The names of the distributions in tweedie/densities.h.

#include <array>

namespace tweedie {

enum class Density {
  eight_gaussians,  // of std 0.2 on a circle of radius 2
  grid_gaussians,   // 25 of std 0.1 at (i, j), i and j in -2 .. 2
  s_curve,          // (sin t, sign(t) (cos t - 1)), t uniform on (-3 pi / 2, 3 pi / 2); thickness 0.1
  two_moons,        // two half circles of radius 1.5, each beginning in the other's middle; thickness 0.12
  rings,            // circles of radius 0.6, 1.3 and 2, all as likely; thickness 0.07
  spiral,           // (t cos t, t sin t) / 5, t = 4 pi sqrt(u), u uniform on (0, 1); thickness 0.07
  checkerboard,     // uniform on 8 of the 16 unit squares of [-2, 2]^2
  funnel,           // x_1 ~ N(0, 1), x_2 ~ N(0, exp(x_1)) (Neal 2003, milder)
};
constexpr auto names(Density) {
  return std::array{"eight-gaussians", "grid-gaussians", "s-curve",      "two-moons",
                    "rings",           "spiral",         "checkerboard", "funnel"};
}

}  // namespace tweedie
