#pragma once
// More linear operators on images, like those of operators.h: they act on the last two axes of the domain, on
// every channel alike, or on its only axis where they say so.

#include "tweedie/operators.h"

namespace tweedie {

// Keeps the box of height x width pixels whose first pixel is (top, left). A A^T = I.
LinearOperatorPtr make_crop(Shape domain, int64_t top, int64_t left, int64_t height, int64_t width);

// Bicubic reduction by a whole factor, antialiased, as MATLAB's imresize does it: y = R_h x R_w^T, where row
// i of R has weights proportional to k((u - j) / factor) at j, u = (i + 1/2) factor - 1/2, mirrored at the
// edge; k is the cubic of Keys (1981) with a = -1/2. The factor divides height and width. The decomposition
// is that of R_h and R_w.
LinearOperatorPtr make_bicubic(Shape domain, int64_t factor);

// y = left x right^T on every channel, left (h, height) and right (w, width); everything follows from the two
// decompositions.
LinearOperatorPtr make_separable(Shape domain, const Tensor& left, const Tensor& right);

// A straight move by `length` pixels during the exposure, in the direction `angle` (degrees,
// counter-clockwise from the horizontal): the segment, centred, spread bilinearly over pixels; sums to 1. 0 <
// length <= 1000.
Tensor motion_kernel(double length, double angle);

// y = sum_k w_k (K_k x): K_k the convolutions with a grid of kernels (gh, gw, kh, kw), w_k bilinear between
// the centres of the grid's cells, constant beyond the outermost; sum_k w_k = 1.
LinearOperatorPtr make_varying_blur(Shape domain, const Tensor& kernels,
                                    Boundary boundary = Boundary::circular);

// Mixes channels, pixel by pixel: x (C, ...) -> (k, ...), matrix (k, C).
LinearOperatorPtr make_colour(Shape domain, const Tensor& matrix);

enum class Wavelet { haar, db2, db3, db4 };
inline int vanishing_moments(Wavelet wavelet) {
  return static_cast<int>(wavelet) + 1;
}
// The coefficients of the orthonormal wavelet transform, periodic, over the last two axes or the only one;
// the domain's shape, coarse scales first in each axis. 2^levels divides the axes. Daubechies (1988).
LinearOperatorPtr make_wavelet(Shape domain, Wavelet wavelet, int64_t levels);

// What follows the last pixel: the same again, so that the last difference is 0, or the first one.
enum class Edge { replicate, circular };
// x[i + 1] - x[i] along the last two axes, (2, *domain), or the only one, (1, n).
LinearOperatorPtr make_differences(Shape domain, Edge edge = Edge::replicate);

}  // namespace tweedie
