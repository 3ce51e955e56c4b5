#include "kernel/normalise.h"

#include "core/elementary.h"

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double epsilon = 1e-5;

// 1 / (1 + exp(-z)), to the accuracy of E
template <class E>
TWEEDIE_INLINE Lanes16 sigmoid(Lanes16 z) {
  if constexpr (std::is_same_v<E, float>) {
    return 1.0f / (1.0f + exp_lanes(-z));
  } else {
    // 2^x by exponent bits and a polynomial on +-1/2 (relative error 5e-5), the reciprocal by the bits and
    // two steps of Newton's (1e-4): a division takes as long as all the rest.
    using Bits = Lanes<float>::Bits;
    Lanes16 x = z * -1.44269504f;
    x = x < -40.0f ? broadcast(-40.0f) : x;
    x = x > 40.0f ? broadcast(40.0f) : x;
    constexpr float magic = 12582912.0f;
    const Lanes16 shifted = x + magic, f = x - (shifted - magic);
    const Lanes16 p = 1.0f + f * (0.69314718f + f * (0.24022651f + f * (0.05550411f + f * 0.009618129f)));
    const Lanes16 y = 1.0f + (Lanes16)((Bits)p + ((Bits)shifted << 23));
    Lanes16 r = (Lanes16)(0x7EF311C7 - (Bits)y);
    r = r * (2.0f - y * r);
    return r * (2.0f - y * r);
  }
}

}  // namespace

// A product and its sum are rounded one by one, so that a x + b is exactly 0 where x is its group's mean.
#pragma STDC FP_CONTRACT OFF

namespace {

// Sums over pixels of `vectors` neighbouring blocks of 16 channels: of d and d^2, d being the difference from
// the first pixel, for accuracy.
template <int vectors, class E>
TWEEDIE_INLINE void moment_block(const E* x, int64_t pixels, int64_t lanes, float* sum, float* square) {
  Lanes16 s[vectors], q[vectors], first[vectors];
  for (int v = 0; v < vectors; ++v) {
    s[v] = q[v] = Lanes16{};
    first[v] = load16(x + 16 * v);
  }
  for (int64_t p = 1; p < pixels; ++p) {
    for (int v = 0; v < vectors; ++v) {
      const Lanes16 d = load16(x + p * lanes + 16 * v) - first[v];
      s[v] += d;
      q[v] += d * d;
    }
  }
  for (int v = 0; v < vectors; ++v) {
    store16(sum + 16 * v, s[v]);
    store16(square + 16 * v, q[v]);
  }
}

template <class E>
TWEEDIE_INLINE void moments(const E* x, int64_t pixels, int64_t lanes, float* sum, float* square) {
  int64_t c = 0;
  for (; c + 64 <= lanes; c += 64) moment_block<4>(x + c, pixels, lanes, sum + c, square + c);
  for (; c < lanes; c += 16) moment_block<1>(x + c, pixels, lanes, sum + c, square + c);
}

template <Activation activation, class E>
TWEEDIE_INLINE void affine(const E* x, const ImageSize* size, const float* a, const float* b,
                           ImageView<E> y) {
  const int64_t lanes = size->lanes();
  for (int64_t row = 0; row < size->height; ++row) {
    for (int64_t column = 0; column < size->width; ++column) {
      const E* from = x + (row * size->width + column) * lanes;
      E* to = y.data + row * y.row + column * y.pixel;
      for (int64_t c = 0; c < lanes; c += 16) {
        Lanes16 z = load16(a + c) * load16(from + c) + load16(b + c);
        if constexpr (activation == Activation::silu) z = z * sigmoid<E>(z);
        store16(to + c, z);
      }
    }
  }
}

template <Activation activation, class E>
TWEEDIE_INLINE void gradient(const E* x, const ImageSize* size, const float* a, const float* b,
                             const float* mean, float* dz, float* sum_g, float* sum_gx) {
  const int64_t lanes = size->lanes(), pixels = size->pixels();
  for (int64_t c = 0; c < lanes; c += 16) {
    const Lanes16 scale = load16(a + c), shift = load16(b + c), centre = load16(mean + c);
    Lanes16 sum{}, sum_x{};
    for (int64_t at = c; at < pixels * lanes; at += lanes) {
      const Lanes16 value = load16(x + at);
      Lanes16 g = load16(dz + at);
      if constexpr (activation == Activation::silu) {
        const Lanes16 z = scale * value + shift;
        const Lanes16 s = sigmoid<E>(z);
        g = g * s * (1.0f + z * (1.0f - s));
        store16(dz + at, g);
      }
      sum += g;
      sum_x += g * (value - centre);
    }
    store16(sum_g + c, sum);
    store16(sum_gx + c, sum_x);
  }
}

template <class E>
TWEEDIE_INLINE void silu_both(const E* x, int64_t count, const float* dz, bool add, E* dx, E* z) {
  for (int64_t i = 0; i < count; i += 16) {
    const Lanes16 value = load16(x + i), s = sigmoid<E>(value);
    if (z != nullptr) store16(z + i, value * s);
    if (dx == nullptr) continue;
    Lanes16 d = load16(dz + i) * s * (1.0f + value * (1.0f - s));
    if (add) d += load16(dx + i);
    store16(dx + i, d);
  }
}

template <class E>
TWEEDIE_INLINE void input_gradient(const E* x, const ImageSize* size, const float* a, const float* u,
                                   const float* v, const float* mean, const float* g, bool add, E* dx) {
  const int64_t lanes = size->lanes(), numbers = size->numbers();
  for (int64_t pixel = 0; pixel < numbers; pixel += lanes) {
    for (int64_t c = 0; c < lanes; c += 16) {
      const int64_t at = pixel + c;
      Lanes16 d = load16(a + c) * load16(g + at) - load16(u + c) -
                  load16(v + c) * (load16(x + at) - load16(mean + c));
      if (add) d += load16(dx + at);
      store16(dx + at, d);
    }
  }
}

}  // namespace

template <class E>
void group_statistics(const E* x, const ImageSize& size, int64_t groups, float* mean, float* rstd) {
  // The sums are kept where the results will be.
  float *sum = mean, *square = rstd;
  vectorised<moments<E>>(x, size.pixels(), size.lanes(), sum, square);
  const double pixels = static_cast<double>(size.pixels());
  const int64_t group_channels = size.channels / groups;
  for (int64_t begin = 0; begin < size.channels; begin += group_channels) {
    const int64_t end = begin + group_channels;
    double group_mean = 0, deviation = 0;
    for (int64_t c = begin; c < end; ++c) group_mean += widen(x[c]) + sum[c] / pixels;
    group_mean /= static_cast<double>(group_channels);
    for (int64_t c = begin; c < end; ++c) {
      const double about = widen(x[c]) + sum[c] / pixels - group_mean;
      deviation += square[c] - sum[c] * (sum[c] / pixels) + pixels * about * about;
    }
    const double variance = std::max(0.0, deviation / (pixels * static_cast<double>(group_channels)));
    std::fill(mean + begin, mean + end, static_cast<float>(group_mean));
    std::fill(rstd + begin, rstd + end, static_cast<float>(1 / std::sqrt(variance + epsilon)));
  }
  std::fill(mean + size.channels, mean + size.lanes(), 0.0F);
  std::fill(rstd + size.channels, rstd + size.lanes(), 0.0F);
}

template <class E>
void affine_activation(const E* x, const ImageSize& size, const float* a, const float* b,
                       Activation activation, ImageView<E> y) {
  if (activation == Activation::silu) return vectorised<affine<Activation::silu, E>>(x, &size, a, b, y);
  vectorised<affine<Activation::none, E>>(x, &size, a, b, y);
}

template <class E>
void copy_image(const E* x, const ImageSize& size, ImageView<E> y) {
  const int64_t row = size.width * size.lanes();
  for (int64_t i = 0; i < size.height; ++i) std::copy_n(x + i * row, row, y.data + i * y.row);
}

template <class E>
void activation_gradient(const E* x, const ImageSize& size, const float* a, const float* b, const float* mean,
                         Activation activation, float* dz, float* sum_g, float* sum_gx) {
  if (activation == Activation::silu)
    return vectorised<gradient<Activation::silu, E>>(x, &size, a, b, mean, dz, sum_g, sum_gx);
  vectorised<gradient<Activation::none, E>>(x, &size, a, b, mean, dz, sum_g, sum_gx);
}

template <class E>
void silu(const E* x, int64_t count, E* z) {
  silu_gradient<E>(x, count, nullptr, false, nullptr, z);
}

template <class E>
void silu_gradient(const E* x, int64_t count, const float* dz, bool add, E* dx, E* z) {
  vectorised<silu_both<E>>(x, count, dz, add, dx, z);
}

template <class E>
void norm_gradient(const E* x, const ImageSize& size, const float* a, const float* u, const float* v,
                   const float* mean, const float* g, bool add, E* dx) {
  vectorised<input_gradient<E>>(x, &size, a, u, v, mean, g, add, dx);
}

// For the two kinds of numbers
#define TWEEDIE_NORMS_OF(E)                                                                               \
  template void group_statistics(const E*, const ImageSize&, int64_t, float*, float*);                    \
  template void affine_activation(const E*, const ImageSize&, const float*, const float*, Activation,     \
                                  ImageView<E>);                                                          \
  template void copy_image(const E*, const ImageSize&, ImageView<E>);                                     \
  template void activation_gradient(const E*, const ImageSize&, const float*, const float*, const float*, \
                                    Activation, float*, float*, float*);                                  \
  template void silu(const E*, int64_t, E*);                                                              \
  template void silu_gradient(const E*, int64_t, const float*, bool, E*, E*);                             \
  template void norm_gradient(const E*, const ImageSize&, const float*, const float*, const float*,       \
                              const float*, const float*, bool, E*);
TWEEDIE_NORMS_OF(float)
TWEEDIE_NORMS_OF(Bfloat16)
#undef TWEEDIE_NORMS_OF

}  // namespace tweedie
