#pragma once
// Images of H x W pixels, channels last and filled up to `lanes` (lanes.h). Numbers in memory are E, float or
// Bfloat16; arithmetic is in float32.

#include "kernel/lanes.h"

#include <cstdint>

namespace tweedie {

struct ImageSize {
  int64_t height, width, channels;
  int64_t lanes() const { return lanes_of(channels); }
  int64_t pixels() const { return height * width; }
  int64_t numbers() const { return pixels() * lanes(); }
};

// From and to (C, H, W) in float32
template <class E>
void from_planes(const float* planes, const ImageSize& size, E* image);
template <class E>
void to_planes(const E* image, const ImageSize& size, float* planes);

// y = mean of 2 x 2 pixels of x; odd sides lose their last one. And dx (= or +=) from dy.
template <class E>
void halve(const E* x, const ImageSize& size, E* y);
template <class E>
void halve_gradient(const E* dy, const ImageSize& size, bool add, E* dx);

// y(i, j) = x(floor(i H / H'), floor(j W / W')): nearest neighbour, as ATen's upsample_nearest2d. And dx from
// dy.
template <class E>
void enlarge(const E* x, const ImageSize& size, int64_t height, int64_t width, E* y);
template <class E>
void enlarge_gradient(const E* dy, const ImageSize& size, int64_t height, int64_t width, bool add, E* dx);

// to(:, begin .. begin + count) = from(:, from_begin ..), channels of `pixels` pixels
struct ChannelRange {
  int64_t lanes, begin;
};
template <class E>
void copy_channels(const E* from, ChannelRange source, int64_t pixels, int64_t count, E* to,
                   ChannelRange target);
template <class E>
void add_channels(const E* from, ChannelRange source, int64_t pixels, int64_t count, E* to,
                  ChannelRange target);

// each of y's pixels = value (+ that of `more`, null for none, or y itself)
template <class E>
void fill_pixels(const float* value, int64_t pixels, int64_t lanes, const E* more, E* y);

// to (= or +=) from, `count` numbers, a multiple of 16
template <class From, class To>
void add_numbers(const From* from, int64_t count, bool add, To* to);
// sum += the sums over pixels
template <class E>
void add_pixel_sums(const E* x, int64_t pixels, int64_t lanes, float* sum);

}  // namespace tweedie
