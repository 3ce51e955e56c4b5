#pragma once
// GroupNorm (Wu & He 2018) with SiLU behind it, on single images in float32: one pass for the moments, one
// that applies them.
//
//   y = silu(z),  z = scale (x - mean) / sqrt(variance + 1e-5) + shift,  scale and shift per channel

#include "kernel/image.h"

namespace tweedie {

// An image inside another one: rows and pixels so many numbers apart
struct ImageView {
  float* data;
  int64_t row, pixel;
  static ImageView of(float* image, const ImageSize& size) {
    return {image, size.width * size.lanes(), size.lanes()};
  }
};

enum class Activation { none, silu };

// For each channel the mean of its group and 1 / sqrt(variance + 1e-5); 0 for the lanes without a channel
void group_statistics(const float* x, const ImageSize& size, int64_t groups, float* mean, float* rstd);

// y = activation(a x + b), a and b per lane
void affine_activation(const float* x, const ImageSize& size, const float* a, const float* b,
                       Activation activation, ImageView y);
// y = x
void copy_image(const float* x, const ImageSize& size, ImageView y);

// g = dz activation'(a x + b) in place of dz, and for each lane the sums over pixels of g and g (x - mean)
void activation_gradient(const float* x, const ImageSize& size, const float* a, const float* b,
                         const float* mean, Activation activation, float* dz, float* sum_g, float* sum_gx);
// dx = (or +=) a g - u - v (x - mean)
void norm_gradient(const float* x, const ImageSize& size, const float* a, const float* u, const float* v,
                   const float* mean, const float* g, bool add, float* dx);

}  // namespace tweedie
