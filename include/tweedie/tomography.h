#pragma once
// Computed tomography: line integrals of an image, and filtered back-projection.

#include "tweedie/operators.h"

namespace tweedie {

// Lengths are in one unit (mm, or pixels when pixel = 1). The origin is the middle of the image, x points to
// the right along a row and y upwards: pixel (i, j) of H x W is at pixel (j - (W - 1) / 2, (H - 1) / 2 - i).
// Detector element d of D is at u_d = (d - (D - 1) / 2) spacing. With e = (cos a, sin a), f = (-sin a, cos
// a):
//   parallel: the ray of element d is {u_d e + t f}
//   fan, flat detector: from the source at -source_distance f to detector_distance f + u_d e
//   fan, arc around the source: the same with the angle u_d / (source_distance + detector_distance) off f
struct RadonGeometry {
  enum class Beam { parallel, fan_flat, fan_arc };
  Beam beam = Beam::parallel;
  std::vector<double> angles;    // a of each view, degrees
  int64_t detectors = 0;         // >= 1
  double spacing = 1;            // > 0, of detector elements, where they are
  double pixel = 1;              // > 0, a pixel's side
  double source_distance = 0;    // fan: from the source to the origin, beyond the image
  double detector_distance = 0;  // fan: from the origin to the detector, >= 0
};

// Line integrals (value times length) by Joseph's method: along the axis that a ray is closer to it goes from
// pixel line to pixel line and interpolates linearly in between. The adjoint is the exact transpose.
// (H, W) or (..., H, W) -> (views, detectors), with the leading axes where those are not 1. Runs on the CPU.
LinearOperatorPtr make_radon(Shape domain, const RadonGeometry& geometry);

// The ramp |f| times a window over the frequencies up to the detector's highest, f_max = 1 / (2 spacing):
// 1, sinc(f / (2 f_max)), or (1 + cos(pi f / f_max)) / 2.
enum class RampFilter { ramp, shepp_logan, hann };
struct FilterOptions {
  RampFilter filter = RampFilter::ramp;
  double cutoff = 1;  // share of the frequencies that is kept, 0 < cutoff <= 1; the window is as wide
};

// x from y (B, views, detectors) -> (B, height, width), in the units of x: filtered back-projection (Kak and
// Slaney, "Principles of computerized tomographic imaging", 1988, sections 3.3 and 3.4). Views are to be
// spread evenly, over 180 degrees (or 360) for parallel beams and over 360 for fans; throws Error for fans
// over less.
Tensor filtered_back_projection(const RadonGeometry& geometry, int64_t height, int64_t width, const Tensor& y,
                                const FilterOptions& options = {});

}  // namespace tweedie
