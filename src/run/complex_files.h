#pragma once
// Complex numbers at the door. Inside, a complex measurement is (..., 2) and a complex image (2, H, W), real
// and imaginary part; files hold complex64 or complex128. k-space may be whole in a file, of which an
// operator measures a part.

#include "tweedie/operator.h"

#include <filesystem>

namespace tweedie {

// What a file holds of a measurement or a stack of them as (*codomain) or (cases, *codomain) float64. Throws
// Error(place) on complex numbers where real ones are measured.
Tensor real_measurement(const Tensor& y, const ForwardOperator& forward, const std::string& place);
// An image or a stack of them, float64: complex (..., H, W) becomes (..., 2, H, W)
Tensor real_image(const Tensor& x, const std::string& place);
// y (cases, *codomain) as files have it: complex, and of an operator of Cartesian k-space alone the whole of
// it, with zeros where it was not measured
Tensor as_in_files(const Tensor& y, const ForwardOperator& forward);

// Throws Error(place) when k-space has its energy where the operator does not expect frequency 0.
void require_centre(const Tensor& y, const ForwardOperator& forward, const std::string& place);

}  // namespace tweedie
