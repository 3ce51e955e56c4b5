#pragma once
// Images as native loops see them: planes (H, W) of real numbers.

#include "core/shape.h"

#include <type_traits>

namespace tweedie {

// Of one image; im is null for a real one.
template <class Value>
struct PlanesOf {
  Value *re, *im;
};

// Image i of a batch of real images (i, H, W) or complex ones (i, 2, H, W), each plane so many pixels
template <class Value>
PlanesOf<Value> planes_of(Value* data, int64_t i, int64_t pixels, bool complex) {
  if (!complex) return {data + i * pixels, nullptr};
  return {data + 2 * i * pixels, data + (2 * i + 1) * pixels};
}

// work(0.0F) or work(0.0), whose argument's type is that of the numbers
template <class Work>
void with_value_of(at::ScalarType dtype, Work work) {
  if (dtype == at::kDouble) {
    work(0.0);
  } else {
    work(0.0F);
  }
}

// A real image (..., H, W), or a complex one (2, H, W): real and imaginary part. Throws Error(place).
void require_image(const Shape& domain, bool complex, const std::string& place);

}  // namespace tweedie
