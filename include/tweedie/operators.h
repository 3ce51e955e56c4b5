#pragma once
// The linear operators there are. All act on the last two axes of the domain where they speak of images, on
// every channel alike, in float32 and float64, on x's device. On the CPU a row's result is the same, bit for
// bit, whatever the other rows are and however many.

#include "tweedie/noise.h"
#include "tweedie/operator.h"

namespace tweedie {

using LinearOperatorPtr = std::shared_ptr<const LinearOperator>;

// y = x
LinearOperatorPtr make_identity(Shape domain);

// y, (m,), is the entries of x where `keep` (bool, the domain's shape) is true, in C order. m >= 1.
LinearOperatorPtr make_mask(const Tensor& keep);
// Keeps round(fraction H W) pixels, chosen uniformly, the same in all channels. 0 < fraction <= 1. A domain
// of one axis counts as H W pixels.
Tensor random_mask(const Shape& domain, double fraction, Noise noise);
// Hides the box of height x width pixels whose first pixel is (top, left), in all channels, and keeps the
// rest.
Tensor box_mask(const Shape& domain, int64_t top, int64_t left, int64_t height, int64_t width);

// What lies beyond the edge of the image: the image again, or zeros.
enum class Boundary { circular, zero };

// Convolution with a kernel (kh, kw) of any size, odd or even, centred at c = (floor(kh / 2), floor(kw / 2)):
//   y[i] = sum_j kernel[j] x[i + c - j]
LinearOperatorPtr make_blur(Shape domain, const Tensor& kernel, Boundary boundary = Boundary::circular);
// exp(-|i|^2 / (2 std^2)) for |i_1|, |i_2| <= ceil(truncation std), scaled to sum 1; std in pixels, 0 < std
// <= 1000
Tensor gaussian_kernel(double std, double truncation = 4);

// Averages over factor x factor blocks; the factor divides height and width.
LinearOperatorPtr make_downsample(Shape domain, int64_t factor);

// y = matrix x, matrix (m, d) over the flattened domain; y is (m,). Computed in x's dtype.
LinearOperatorPtr make_matrix(Shape domain, const Tensor& matrix);

// x -> a(b(x))
LinearOperatorPtr compose(LinearOperatorPtr a, LinearOperatorPtr b);
// x -> (a_1 x, a_2 x, ...), flattened and joined; one domain
LinearOperatorPtr stack(std::vector<LinearOperatorPtr> operators);
// x -> factor a(x), factor finite and not 0
LinearOperatorPtr scale(LinearOperatorPtr a, double factor);

}  // namespace tweedie
