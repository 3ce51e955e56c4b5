#pragma once
// The geometry of a tomograph, as its operator and filtered back-projection see it.

#include "operator/linear.h"
#include "tweedie/tomography.h"

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

}  // namespace tweedie
