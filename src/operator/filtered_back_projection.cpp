// Filtered back-projection (Kak and Slaney, "Principles of computerized tomographic imaging", 1988). With h
// the ramp at the detector's spacing tau, h(0) = 1 / (4 tau^2), h(n) = -1 / (pi n tau)^2 for odd n, else 0,
//   parallel (3.3): x(r) = (pi / views) sum_a q_a(r . e),  q = tau h * y
//   arc (3.4.1):    x(r) = (2 pi / views) sum_a q_a(gamma) / L^2,  q = tau g * (y D cos gamma),
//                   g(gamma) = (gamma / sin gamma)^2 h(gamma) / 2,  tau and gamma in radians
//   flat (3.4.2):   x(r) = (2 pi / views) sum_a q_a(s) / U^2,  q = tau (h / 2) * (y D / sqrt(D^2 + s^2)),
//                   s on a detector moved to the origin, U = (D + r . f) / D
// with D the source's distance from the origin, L its distance from r.

#include "core/workers.h"
#include "kernel/fourier.h"
#include "operator/image_planes.h"
#include "operator/radon.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

constexpr double pi = std::numbers::pi;
using Beam = RadonGeometry::Beam;

// Detector elements as the formulas have them: at the origin, or as angles
double step_of(const RadonGeometry& g) {
  switch (g.beam) {
    case Beam::parallel:
      return g.spacing;
    case Beam::fan_flat:
      return g.spacing * g.source_distance / (g.source_distance + g.detector_distance);
    case Beam::fan_arc:
      break;
  }
  return g.spacing / (g.source_distance + g.detector_distance);
}

double place_of(const RadonGeometry& g, int64_t detector) {
  return (static_cast<double>(detector) - 0.5 * static_cast<double>(g.detectors - 1)) * step_of(g);
}

// Of a ray, before filtering
double weight_of(const RadonGeometry& g, int64_t detector) {
  const double place = place_of(g, detector), d = g.source_distance;
  if (g.beam == Beam::parallel) return 1;
  return g.beam == Beam::fan_arc ? d * std::cos(place) : d / std::hypot(d, place);
}

double window(RampFilter filter, double share) {
  if (share > 1) return 0;
  switch (filter) {
    case RampFilter::ramp:
      return 1;
    case RampFilter::shepp_logan:
      return share == 0 ? 1 : std::sin(0.5 * pi * share) / (0.5 * pi * share);
    case RampFilter::hann:
      break;
  }
  return 0.5 * (1 + std::cos(pi * share));
}

// The filter's spectrum for lines of n, which is real
std::vector<double> spectrum(const RadonGeometry& g, const FilterOptions& options, int64_t n) {
  const double step = step_of(g);
  std::vector<double> h(2 * n);
  for (int64_t i = 0; i < n; ++i) {
    const int64_t lag = std::min(i, n - i);
    const double u = static_cast<double>(lag) * step;
    if (lag == 0) h[i] = 1 / (4 * step);
    if (lag % 2 == 1) h[i] = -step / (pi * pi * u * u);
    if (g.beam != Beam::parallel) h[i] *= 0.5;
    if (g.beam == Beam::fan_arc && lag > 0) h[i] *= u < pi ? u * u / (std::sin(u) * std::sin(u)) : 0;
  }
  FourierLines<double>(n).rows({h.data(), h.data() + n, n}, 0, 1);
  for (int64_t i = 0; i < n; ++i) {
    const double share = 2 * static_cast<double>(std::min(i, n - i)) / static_cast<double>(n);
    h[i] *= window(options.filter, share / options.cutoff);
  }
  h.resize(n);
  return h;
}

// Views (views, detectors) of one image, weighted and filtered
std::vector<double> filtered(const RadonGeometry& g, const double* y, const std::vector<double>& filter) {
  const auto n = static_cast<int64_t>(filter.size()), views = static_cast<int64_t>(g.angles.size());
  std::vector<double> lines(2 * views * n), result(views * g.detectors);
  const Planes<double> planes{lines.data(), lines.data() + views * n, n};
  for (int64_t v = 0; v < views; ++v) {
    for (int64_t d = 0; d < g.detectors; ++d) {
      planes.re[v * n + d] = weight_of(g, d) * y[v * g.detectors + d];
    }
  }
  const FourierLines<double> transform(n);
  transform.rows(planes, 0, views);
  for (int64_t i = 0; i < views * n; ++i) {
    const double weight = filter[i % n] / static_cast<double>(n);
    planes.re[i] *= weight;
    planes.im[i] *= weight;
  }
  transform.rows(planes.exchanged(), 0, views);
  for (int64_t v = 0; v < views; ++v) {
    std::copy_n(planes.re + v * n, g.detectors, result.data() + v * g.detectors);
  }
  return result;
}

// q at a place between the detector's elements, 0 beyond them
double interpolated(const double* q, const RadonGeometry& g, double place) {
  const double at = place / step_of(g) + 0.5 * static_cast<double>(g.detectors - 1), below = std::floor(at);
  const auto i = static_cast<int64_t>(below);
  if (i < -1 || i >= g.detectors) return 0;
  const double part = at - below;
  return (i >= 0 ? (1 - part) * q[i] : 0) + (i + 1 < g.detectors ? part * q[i + 1] : 0);
}

// What a view adds to the pixel at (x, y)
double added(const double* q, const RadonGeometry& g, double cosine, double sine, double x, double y) {
  const double across = x * cosine + y * sine, along = g.source_distance - x * sine + y * cosine;
  switch (g.beam) {
    case Beam::parallel:
      return 0.5 * interpolated(q, g, across);
    case Beam::fan_flat: {
      const double u = along / g.source_distance;
      return interpolated(q, g, across / u) / (u * u);
    }
    case Beam::fan_arc:
      break;
  }
  return interpolated(q, g, std::atan2(across, along)) / (across * across + along * along);
}

void check(const RadonGeometry& g, const Tensor& y, const FilterOptions& options) {
  require_real(y, "fbp.y");
  require_batch_of(y, {static_cast<int64_t>(g.angles.size()), g.detectors}, "fbp.y");
  if (!(options.cutoff > 0 && options.cutoff <= 1)) {
    throw Error("fbp.cutoff", fmt::format("{}, but 0 < cutoff <= 1 is needed", options.cutoff));
  }
  const auto [low, high] = std::minmax_element(g.angles.begin(), g.angles.end());
  const auto views = static_cast<double>(g.angles.size());
  const double covered = views == 1 ? 0 : (*high - *low) * views / (views - 1);
  const double needed = g.beam == Beam::parallel ? 180 : 360;
  if (covered < 0.95 * needed) {
    throw Error("fbp.angles",
                fmt::format("views over {:.4g} degrees, but filtered back-projection needs {} for this "
                            "beam; a method such as cg takes what there is",
                            covered, needed));
  }
}

}  // namespace

Tensor filtered_back_projection(const RadonGeometry& g, int64_t height, int64_t width, const Tensor& y,
                                const FilterOptions& options) {
  require_geometry(g, height, width);
  check(g, y, options);
  const Tensor from = y.to(at::kCPU, at::kDouble).contiguous();
  const auto views = static_cast<int64_t>(g.angles.size());
  const std::vector<double> filter = spectrum(g, options, fast_fourier_length(2 * g.detectors));
  Tensor x = at::empty({y.size(0), height, width}, at::kDouble);
  for (int64_t b = 0; b < y.size(0); ++b) {
    const auto q = filtered(g, from.data_ptr<double>() + b * views * g.detectors, filter);
    for_each(height, [&](int64_t i) {
      double* row = x.data_ptr<double>() + (b * height + i) * width;
      std::fill_n(row, width, 0.0);
      const double up = g.pixel * (0.5 * static_cast<double>(height - 1) - static_cast<double>(i));
      for (int64_t v = 0; v < views; ++v) {
        const double a = g.angles[v] * pi / 180, cosine = std::cos(a), sine = std::sin(a);
        for (int64_t j = 0; j < width; ++j) {
          const double right = g.pixel * (static_cast<double>(j) - 0.5 * static_cast<double>(width - 1));
          row[j] += added(q.data() + v * g.detectors, g, cosine, sine, right, up);
        }
      }
      for (int64_t j = 0; j < width; ++j) row[j] *= 2 * pi / static_cast<double>(views);
    });
  }
  return x.to(y.device(), y.scalar_type());
}

}  // namespace tweedie
