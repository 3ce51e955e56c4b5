#pragma once
// GroupNorm (Wu & He 2018) with SiLU behind it, on single images: one pass for the moments, one that applies
// them. Numbers in memory are E, float or Bfloat16; arithmetic is in float32.
//
//   y = silu(z),  z = scale (x - mean) / sqrt(variance + 1e-5) + shift,  scale and shift per channel

#include "kernel/image.h"

namespace tweedie {

// An image inside another one: rows and pixels so many numbers apart
template <class E>
struct ImageView {
  E* data;
  int64_t row, pixel;
  static ImageView of(E* image, const ImageSize& size) {
    return {image, size.width * size.lanes(), size.lanes()};
  }
};

enum class Activation { none, silu };

// For each channel the mean of its group and 1 / sqrt(variance + 1e-5); 0 for the lanes without a channel
template <class E>
void group_statistics(const E* x, const ImageSize& size, int64_t groups, float* mean, float* rstd);

// y = activation(a x + b), a and b per lane
template <class E>
void affine_activation(const E* x, const ImageSize& size, const float* a, const float* b,
                       Activation activation, ImageView<E> y);
// y = x
template <class E>
void copy_image(const E* x, const ImageSize& size, ImageView<E> y);

// g = dz activation'(a x + b) in place of dz, and for each lane the sums over pixels of g and g (x - mean)
template <class E>
void activation_gradient(const E* x, const ImageSize& size, const float* a, const float* b, const float* mean,
                         Activation activation, float* dz, float* sum_g, float* sum_gx);
// Without a norm: z = silu(x). count: lanes of all, as below
template <class E>
void silu(const E* x, int64_t count, E* z);
// dx = (or +=) dz silu'(x) and z = silu(x), in one pass; either may be null.
template <class E>
void silu_gradient(const E* x, int64_t count, const float* dz, bool add, E* dx, E* z);
// dx = (or +=) a g - u - v (x - mean)
template <class E>
void norm_gradient(const E* x, const ImageSize& size, const float* a, const float* u, const float* v,
                   const float* mean, const float* g, bool add, E* dx);

}  // namespace tweedie
