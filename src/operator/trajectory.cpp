// Trajectories through k-space, in cycles per pixel along (height, width).

#include "tweedie/error.h"
#include "tweedie/nufft.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr double pi = std::numbers::pi;

void require_count(int64_t n, int64_t least, const char* place) {
  if (n < least) throw Error(place, fmt::format("{}, but {} or more is needed", n, least));
}

// radius and angle (lines, samples) -> (lines, samples, 2)
Tensor in_polar_coordinates(const Tensor& radius, const Tensor& angle) {
  return at::stack({radius * angle.sin(), radius * angle.cos()}, -1).contiguous();
}

}  // namespace

Tensor radial_trajectory(int64_t spokes, int64_t samples, bool golden) {
  require_count(spokes, 1, "nufft.spokes");
  require_count(samples, 2, "nufft.samples");
  const double step = golden ? pi * (std::sqrt(5.0) - 1) / 2 : pi / static_cast<double>(spokes);
  const Tensor angle = at::arange(spokes, at::kDouble).unsqueeze(1) * step;
  const Tensor radius = (at::arange(samples, at::kDouble) - samples / 2) / static_cast<double>(samples);
  return in_polar_coordinates(radius.unsqueeze(0), angle);
}

Tensor spiral_trajectory(int64_t interleaves, int64_t samples, double turns) {
  require_count(interleaves, 1, "nufft.interleaves");
  require_count(samples, 2, "nufft.samples");
  if (!(turns > 0) || !std::isfinite(turns)) {
    throw Error("nufft.turns", fmt::format("{}, but a number > 0 is needed", turns));
  }
  const Tensor t = (at::arange(samples, at::kDouble) / static_cast<double>(samples - 1)).sqrt().unsqueeze(0);
  const Tensor first = at::arange(interleaves, at::kDouble).unsqueeze(1) / static_cast<double>(interleaves);
  return in_polar_coordinates(0.5 * t.expand({interleaves, samples}), 2 * pi * (turns * t + first));
}

}  // namespace tweedie
