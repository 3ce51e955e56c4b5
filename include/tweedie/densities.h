#pragma once
// Distributions in the plane whose densities are known, to learn and to be held against.

#include "tweedie/mixture_prior.h"

#include <array>
#include <optional>

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

// (draws, 2) float64
Tensor sample(Density density, int64_t draws, Noise& noise);
// log p(x) in nats, (B) float64; x: (B, 2) float32 or float64, B >= 1. That of a curve with Gaussian thickness is an
// integral along it, here the mean over 3,000 points, whose distances are below a quarter of the thickness:
// its relative error is below 1e-4 but for a curve's ends, beyond which it falls off a little otherwise.
Tensor log_prob(Density density, const Tensor& x);
// The law as a mixture, of which everything is known at every noise level: exact for Gaussians, and for
// curves that mean over 3,000 points. None for the checkerboard and the funnel.
std::optional<MixturePrior> mixture_of(Density density);

}  // namespace tweedie
