#include "kernel/image.h"

#include <algorithm>

namespace tweedie {

namespace {

TWEEDIE_INLINE void accumulate(const float* from, int64_t count, bool add, float* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const Lanes16 value = load16(from + i);
    store16(to + i, add ? load16(to + i) + value : value);
  }
}

TWEEDIE_INLINE void fill(const float* value, int64_t pixels, int64_t lanes, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < lanes; c += 16) store16(y + p * lanes + c, load16(value + c));
  }
}

TWEEDIE_INLINE void pixel_sums(const float* x, int64_t pixels, int64_t lanes, float* sum) {
  for (int64_t c = 0; c < lanes; c += 16) {
    Lanes16 total = load16(sum + c);
    for (int64_t p = 0; p < pixels; ++p) total += load16(x + p * lanes + c);
    store16(sum + c, total);
  }
}

TWEEDIE_INLINE void mean_of_four(const float* x, const ImageSize* size, float* y) {
  const int64_t lanes = size->lanes(), row = size->width * lanes;
  const int64_t height = size->height / 2, width = size->width / 2;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const float* from = x + 2 * i * row + 2 * j * lanes;
      float* to = y + (i * width + j) * lanes;
      for (int64_t c = 0; c < lanes; c += 16) {
        const Lanes16 sum = (load16(from + c) + load16(from + lanes + c)) +
                            (load16(from + row + c) + load16(from + row + lanes + c));
        store16(to + c, sum * 0.25f);
      }
    }
  }
}

TWEEDIE_INLINE void spread_over_four(const float* dy, const ImageSize* size, bool add, float* dx) {
  const int64_t lanes = size->lanes(), width = size->width / 2, height = size->height / 2;
  for (int64_t i = 0; i < size->height; ++i) {
    for (int64_t j = 0; j < size->width; ++j) {
      const bool inside = i / 2 < height && j / 2 < width;
      const float* from = dy + (i / 2 * width + j / 2) * lanes;
      float* to = dx + (i * size->width + j) * lanes;
      for (int64_t c = 0; c < lanes; c += 16) {
        const Lanes16 value = inside ? load16(from + c) * 0.25f : Lanes16{};
        store16(to + c, add ? load16(to + c) + value : value);
      }
    }
  }
}

// As ATen rounds: in float32
int64_t nearest(int64_t i, int64_t size, int64_t enlarged) {
  const float scale = static_cast<float>(size) / static_cast<float>(enlarged);
  return std::min(static_cast<int64_t>(static_cast<float>(i) * scale), size - 1);
}

}  // namespace

void from_planes(const float* planes, const ImageSize& size, float* image) {
  const int64_t pixels = size.pixels(), lanes = size.lanes();
  for (int64_t p = 0; p < pixels; ++p) {
    float* pixel = image + p * lanes;
    for (int64_t c = 0; c < size.channels; ++c) pixel[c] = planes[c * pixels + p];
    std::fill(pixel + size.channels, pixel + lanes, 0.0F);
  }
}

void to_planes(const float* image, const ImageSize& size, float* planes) {
  const int64_t pixels = size.pixels(), lanes = size.lanes();
  for (int64_t c = 0; c < size.channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) planes[c * pixels + p] = image[p * lanes + c];
  }
}

void halve(const float* x, const ImageSize& size, float* y) {
  vectorised<mean_of_four>(x, &size, y);
}

void halve_gradient(const float* dy, const ImageSize& size, bool add, float* dx) {
  vectorised<spread_over_four>(dy, &size, add, dx);
}

void enlarge(const float* x, const ImageSize& size, int64_t height, int64_t width, float* y) {
  const int64_t lanes = size.lanes();
  for (int64_t i = 0; i < height; ++i) {
    const float* row = x + nearest(i, size.height, height) * size.width * lanes;
    for (int64_t j = 0; j < width; ++j)
      std::copy_n(row + nearest(j, size.width, width) * lanes, lanes, y + (i * width + j) * lanes);
  }
}

void enlarge_gradient(const float* dy, const ImageSize& size, int64_t height, int64_t width, bool add,
                      float* dx) {
  const int64_t lanes = size.lanes();
  if (!add) std::fill_n(dx, size.numbers(), 0.0F);
  for (int64_t i = 0; i < height; ++i) {
    float* row = dx + nearest(i, size.height, height) * size.width * lanes;
    for (int64_t j = 0; j < width; ++j) {
      add_numbers(dy + (i * width + j) * lanes, lanes, true, row + nearest(j, size.width, width) * lanes);
    }
  }
}

void copy_channels(const float* from, ChannelRange source, int64_t pixels, int64_t count, float* to,
                   ChannelRange target) {
  for (int64_t p = 0; p < pixels; ++p)
    std::copy_n(from + p * source.lanes + source.begin, count, to + p * target.lanes + target.begin);
}

void add_channels(const float* from, ChannelRange source, int64_t pixels, int64_t count, float* to,
                  ChannelRange target) {
  for (int64_t p = 0; p < pixels; ++p) {
    const float* pixel = from + p * source.lanes + source.begin;
    float* sum = to + p * target.lanes + target.begin;
    for (int64_t c = 0; c < count; ++c) sum[c] += pixel[c];
  }
}

void fill_pixels(const float* value, int64_t pixels, int64_t lanes, float* y) {
  vectorised<fill>(value, pixels, lanes, y);
}

void add_numbers(const float* from, int64_t count, bool add, float* to) {
  vectorised<accumulate>(from, count, add, to);
}

void add_pixel_sums(const float* x, int64_t pixels, int64_t lanes, float* sum) {
  vectorised<pixel_sums>(x, pixels, lanes, sum);
}

}  // namespace tweedie
