#include "core/workers.h"
#include "kernel/fourier.h"
#include "operator/radon.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr double pi = std::numbers::pi;

// Of detector elements, at the origin
double spacing_of(const RadonGeometry& g) {
  if (g.beam == RadonGeometry::Beam::parallel) return g.spacing;
  return g.spacing * g.source_distance / (g.source_distance + g.detector_distance);
}

// The angle that views cover, each for the part around it, at most pi: rays that come again are the same
// rays.
double range_of(const RadonGeometry& g) {
  const auto views = static_cast<double>(g.angles.size());
  if (views == 1) return pi;
  const auto [low, high] = std::minmax_element(g.angles.begin(), g.angles.end());
  const double covered = (*high - *low) * pi / 180 * views / (views - 1);
  return std::clamp(covered, pi / views, pi);
}

}  // namespace

RadonGram::RadonGram(const RadonGeometry& g, int64_t height, int64_t width)
    : symbol_(fast_fourier_length(2 * g.detectors)) {
  const auto n = static_cast<int64_t>(symbol_.size());
  const double tau = spacing_of(g), side = g.pixel * static_cast<double>(std::max(height, width));
  const double chord = pi / 4 * g.pixel * static_cast<double>(std::min(height, width));  // a disc's mean
  const double others = static_cast<double>(g.angles.size()) / range_of(g);
  for (int64_t k = 0; k < n; ++k) {
    const double turns = static_cast<double>(std::min(k, n - k)) / static_cast<double>(n);
    const double frequency = std::max(turns / tau, 0.5 / side);  // an image has none that is lower
    symbol_[k] =
        g.pixel * g.pixel / tau * (2 + std::cos(2 * pi * turns)) / 3 * std::hypot(chord, others / frequency);
  }
}

Tensor RadonGram::solve(const Tensor& b, double lambda) const {
  const Tensor from = b.to(at::kCPU, at::kDouble).contiguous();
  Tensor to = at::empty_like(from);
  const int64_t detectors = b.size(-1), lines = b.numel() / detectors;
  const auto n = static_cast<int64_t>(symbol_.size());
  const FourierLines<double> transform(n);
  constexpr int64_t together = 64;
  for_each((lines + together - 1) / together, [&](int64_t block) {
    const int64_t first = block * together, count = std::min(together, lines - first);
    std::vector<double> parts(2 * count * n);
    const Planes<double> planes{parts.data(), parts.data() + count * n, n};
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(from.data_ptr<double>() + (first + i) * detectors, detectors, planes.re + i * n);
    transform.rows(planes, 0, count);
    for (int64_t i = 0; i < count * n; ++i) {
      const double weight = 1 / (static_cast<double>(n) * (symbol_[i % n] + lambda));
      planes.re[i] *= weight;
      planes.im[i] *= weight;
    }
    transform.rows(planes.exchanged(), 0, count);
    for (int64_t i = 0; i < count; ++i)
      std::copy_n(planes.re + i * n, detectors, to.data_ptr<double>() + (first + i) * detectors);
  });
  return to.to(b.device(), b.scalar_type());
}

}  // namespace tweedie
