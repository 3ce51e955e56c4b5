#pragma once
// Images of H x W pixels in float32, channels last and filled up to `lanes` (lanes.h).

#include "kernel/lanes.h"

#include <cstdint>

namespace tweedie {

struct ImageSize {
  int64_t height, width, channels;
  int64_t lanes() const { return lanes_of(channels); }
  int64_t pixels() const { return height * width; }
  int64_t numbers() const { return pixels() * lanes(); }
};

// From and to (C, H, W)
void from_planes(const float* planes, const ImageSize& size, float* image);
void to_planes(const float* image, const ImageSize& size, float* planes);

// y = mean of 2 x 2 pixels of x; odd sides lose their last one. And dx (= or +=) from dy.
void halve(const float* x, const ImageSize& size, float* y);
void halve_gradient(const float* dy, const ImageSize& size, bool add, float* dx);

// y(i, j) = x(floor(i H / H'), floor(j W / W')): nearest neighbour, as ATen's upsample_nearest2d. And dx from
// dy.
void enlarge(const float* x, const ImageSize& size, int64_t height, int64_t width, float* y);
void enlarge_gradient(const float* dy, const ImageSize& size, int64_t height, int64_t width, bool add,
                      float* dx);

// to(:, begin .. begin + count) = from(:, from_begin ..), channels of `pixels` pixels
struct ChannelRange {
  int64_t lanes, begin;
};
void copy_channels(const float* from, ChannelRange source, int64_t pixels, int64_t count, float* to,
                   ChannelRange target);
void add_channels(const float* from, ChannelRange source, int64_t pixels, int64_t count, float* to,
                  ChannelRange target);

// each of y's pixels = value
void fill_pixels(const float* value, int64_t pixels, int64_t lanes, float* y);

// to (= or +=) from, `count` numbers, a multiple of 16
void add_numbers(const float* from, int64_t count, bool add, float* to);
// sum += the sums over pixels
void add_pixel_sums(const float* x, int64_t pixels, int64_t lanes, float* sum);

}  // namespace tweedie
