#include "io/ismrmrd_geometry.h"

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double ras_of_lps[3] = {-1, -1, 1};

double dot(const std::array<float, 3>& a, const std::array<float, 3>& b) {
  double sum = 0;
  for (size_t i = 0; i < 3; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

}  // namespace

// RAS(x, y, z) = S (position + (x - nx/2) dx read + (y - ny/2) dy phase + (z - nz/2) dz slice),
// S = diag(-1, -1, 1); nz/2 is 0 for one slice
std::vector<double> affine_of(const IsmrmrdGeometry& g, const std::array<int64_t, 3>& size,
                              const std::array<double, 3>& spacing) {
  const std::array axes{g.read, g.phase, g.slice};
  for (size_t i = 0; i < 3; ++i) {
    for (size_t j = i; j < 3; ++j) {
      if (!(std::abs(dot(axes[i], axes[j]) - (i == j ? 1 : 0)) < 1e-2)) return {};
    }
  }
  std::vector<double> affine(12);
  for (size_t row = 0; row < 3; ++row) {
    double offset = static_cast<double>(g.position[row]);
    for (size_t axis = 0; axis < 3; ++axis) {
      const double step = spacing[axis] * static_cast<double>(axes[axis][row]);
      affine[4 * row + axis] = ras_of_lps[row] * step;
      offset -= static_cast<double>(size[axis] / 2) * step;
    }
    affine[4 * row + 3] = ras_of_lps[row] * offset;
  }
  if (!std::all_of(affine.begin(), affine.end(), [](double v) { return std::isfinite(v); })) return {};
  return affine;
}

std::optional<double> slice_step(const std::vector<IsmrmrdGeometry>& places) {
  std::optional<double> result;
  for (size_t i = 0; i + 1 < places.size(); ++i) {
    std::array<float, 3> step{};
    for (size_t k = 0; k < 3; ++k) step[k] = places[i + 1].position[k] - places[i].position[k];
    const double along = dot(step, places[0].slice), length = std::sqrt(dot(step, step));
    const double allowed = 1e-3 + 1e-3 * length;  // mm
    if (!(length > 0 && length - std::abs(along) <= allowed)) return std::nullopt;
    if (result && !(std::abs(along - *result) <= allowed)) return std::nullopt;
    if (!result) result = along;
  }
  return result;
}

std::optional<PlacedGeometry> geometry_of(const std::vector<double>& affine,
                                          const std::array<int64_t, 3>& size) {
  if (affine.size() != 12) return std::nullopt;
  PlacedGeometry result{};
  IsmrmrdGeometry& g = result.geometry;
  const std::array<std::array<float, 3>*, 3> axes{&g.read, &g.phase, &g.slice};
  for (size_t axis = 0; axis < 3; ++axis) {
    const double length = std::hypot(affine[axis], affine[4 + axis], affine[8 + axis]);
    if (!(length > 0 && std::isfinite(length))) return std::nullopt;
    result.spacing[axis] = length;
    for (size_t row = 0; row < 3; ++row)
      (*axes[axis])[row] = static_cast<float>(ras_of_lps[row] * affine[4 * row + axis] / length);
  }
  for (size_t row = 0; row < 3; ++row) {
    double at = affine[4 * row + 3];
    for (size_t axis = 0; axis < 3; ++axis)
      at += static_cast<double>(size[axis] / 2) * affine[4 * row + axis];
    g.position[row] = static_cast<float>(ras_of_lps[row] * at);
  }
  return result;
}

}  // namespace tweedie
