#pragma once
// The geometry of a tomograph, as its operator and filtered back-projection see it.

#include "operator/linear.h"
#include "tweedie/tomography.h"

#include <vector>

namespace tweedie {

// Throws Error("radon....") for a geometry that is none.
void require_geometry(const RadonGeometry& geometry, int64_t height, int64_t width);

// Line integrals, whose geometry filtered back-projection asks for.
class RadonOperator : public FixedShape {
 public:
  RadonOperator(const Shape& domain, const Shape& codomain, RadonGeometry geometry)
      : FixedShape(domain, codomain), geometry_(std::move(geometry)) {}
  const RadonGeometry& geometry() const { return geometry_; }

 private:
  RadonGeometry geometry_;
};

// A A^T of parallel rays is nearly a convolution along the detector (of fans too, at the scale of the
// origin): what a frequency w has of its own view, whose rays cross `chord` of the image, and of the others,
// which with evenly spread views add up to 1 / |w|, as in filtered back-projection:
//   G(w) = pixel^2 / tau (2 + cos 2 pi w tau) / 3 hypot(chord, views / (|w| min(range, pi)))
class RadonGram {
 public:
  RadonGram(const RadonGeometry& geometry, int64_t height, int64_t width);
  // (G + lambda)^{-1} b, symmetric and positive definite, b: (B, ..., views, detectors) float32 or float64
  Tensor solve(const Tensor& b, double lambda) const;

 private:
  std::vector<double> symbol_;  // G at the frequencies of a line, continued by zeros to twice its length
};

}  // namespace tweedie
