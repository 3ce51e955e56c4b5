#include "kernel/image.h"

#include <algorithm>

namespace tweedie {

namespace {

template <class From, class To>
TWEEDIE_INLINE void accumulate(const From* from, int64_t count, bool add, To* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const Lanes16 value = load16(from + i);
    store16(to + i, add ? load16(to + i) + value : value);
  }
}

template <class E>
TWEEDIE_INLINE void fill(const float* value, int64_t pixels, int64_t lanes, const E* more, E* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < lanes; c += 16) {
      const int64_t at = p * lanes + c;
      store16(y + at, more == nullptr ? load16(value + c) : load16(value + c) + load16(more + at));
    }
  }
}

template <class E>
TWEEDIE_INLINE void pixel_sums(const E* x, int64_t pixels, int64_t lanes, float* sum) {
  for (int64_t c = 0; c < lanes; c += 16) {
    Lanes16 total = load16(sum + c);
    for (int64_t p = 0; p < pixels; ++p) total += load16(x + p * lanes + c);
    store16(sum + c, total);
  }
}

template <class E>
TWEEDIE_INLINE void mean_of_four(const E* x, const ImageSize* size, E* y) {
  const int64_t lanes = size->lanes(), row = size->width * lanes;
  const int64_t height = size->height / 2, width = size->width / 2;
  for (int64_t i = 0; i < height; ++i) {
    for (int64_t j = 0; j < width; ++j) {
      const E* from = x + 2 * i * row + 2 * j * lanes;
      E* to = y + (i * width + j) * lanes;
      for (int64_t c = 0; c < lanes; c += 16) {
        const Lanes16 sum = (load16(from + c) + load16(from + lanes + c)) +
                            (load16(from + row + c) + load16(from + row + lanes + c));
        store16(to + c, sum * 0.25f);
      }
    }
  }
}

template <class E>
TWEEDIE_INLINE void spread_over_four(const E* dy, const ImageSize* size, bool add, E* dx) {
  const int64_t lanes = size->lanes(), width = size->width / 2, height = size->height / 2;
  for (int64_t i = 0; i < size->height; ++i) {
    for (int64_t j = 0; j < size->width; ++j) {
      const bool inside = i / 2 < height && j / 2 < width;
      const E* from = dy + (i / 2 * width + j / 2) * lanes;
      E* to = dx + (i * size->width + j) * lanes;
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

template <class E>
void from_planes(const float* planes, const ImageSize& size, E* image) {
  const int64_t pixels = size.pixels(), lanes = size.lanes();
  for (int64_t p = 0; p < pixels; ++p) {
    E* pixel = image + p * lanes;
    for (int64_t c = 0; c < size.channels; ++c) pixel[c] = narrow<E>(planes[c * pixels + p]);
    std::fill(pixel + size.channels, pixel + lanes, E{});
  }
}

template <class E>
void to_planes(const E* image, const ImageSize& size, float* planes) {
  const int64_t pixels = size.pixels(), lanes = size.lanes();
  for (int64_t c = 0; c < size.channels; ++c) {
    for (int64_t p = 0; p < pixels; ++p) planes[c * pixels + p] = widen(image[p * lanes + c]);
  }
}

template <class E>
void halve(const E* x, const ImageSize& size, E* y) {
  vectorised<mean_of_four<E>>(x, &size, y);
}

template <class E>
void halve_gradient(const E* dy, const ImageSize& size, bool add, E* dx) {
  vectorised<spread_over_four<E>>(dy, &size, add, dx);
}

template <class E>
void enlarge(const E* x, const ImageSize& size, int64_t height, int64_t width, E* y) {
  const int64_t lanes = size.lanes();
  for (int64_t i = 0; i < height; ++i) {
    const E* row = x + nearest(i, size.height, height) * size.width * lanes;
    for (int64_t j = 0; j < width; ++j)
      std::copy_n(row + nearest(j, size.width, width) * lanes, lanes, y + (i * width + j) * lanes);
  }
}

template <class E>
void enlarge_gradient(const E* dy, const ImageSize& size, int64_t height, int64_t width, bool add, E* dx) {
  const int64_t lanes = size.lanes();
  if (!add) std::fill_n(dx, size.numbers(), E{});
  for (int64_t i = 0; i < height; ++i) {
    E* row = dx + nearest(i, size.height, height) * size.width * lanes;
    for (int64_t j = 0; j < width; ++j) {
      add_numbers(dy + (i * width + j) * lanes, lanes, true, row + nearest(j, size.width, width) * lanes);
    }
  }
}

template <class E>
void copy_channels(const E* from, ChannelRange source, int64_t pixels, int64_t count, E* to,
                   ChannelRange target) {
  for (int64_t p = 0; p < pixels; ++p)
    std::copy_n(from + p * source.lanes + source.begin, count, to + p * target.lanes + target.begin);
}

template <class E>
void add_channels(const E* from, ChannelRange source, int64_t pixels, int64_t count, E* to,
                  ChannelRange target) {
  for (int64_t p = 0; p < pixels; ++p) {
    const E* pixel = from + p * source.lanes + source.begin;
    E* sum = to + p * target.lanes + target.begin;
    for (int64_t c = 0; c < count; ++c) sum[c] = narrow<E>(widen(sum[c]) + widen(pixel[c]));
  }
}

template <class E>
void fill_pixels(const float* value, int64_t pixels, int64_t lanes, const E* more, E* y) {
  vectorised<fill<E>>(value, pixels, lanes, more, y);
}

template <class From, class To>
void add_numbers(const From* from, int64_t count, bool add, To* to) {
  vectorised<accumulate<From, To>>(from, count, add, to);
}

template <class E>
void add_pixel_sums(const E* x, int64_t pixels, int64_t lanes, float* sum) {
  vectorised<pixel_sums<E>>(x, pixels, lanes, sum);
}

// For the two kinds of numbers
#define TWEEDIE_IMAGES_OF(E)                                                               \
  template void from_planes(const float*, const ImageSize&, E*);                           \
  template void to_planes(const E*, const ImageSize&, float*);                             \
  template void halve(const E*, const ImageSize&, E*);                                     \
  template void halve_gradient(const E*, const ImageSize&, bool, E*);                      \
  template void enlarge(const E*, const ImageSize&, int64_t, int64_t, E*);                 \
  template void enlarge_gradient(const E*, const ImageSize&, int64_t, int64_t, bool, E*);  \
  template void copy_channels(const E*, ChannelRange, int64_t, int64_t, E*, ChannelRange); \
  template void add_channels(const E*, ChannelRange, int64_t, int64_t, E*, ChannelRange);  \
  template void fill_pixels(const float*, int64_t, int64_t, const E*, E*);                 \
  template void add_pixel_sums(const E*, int64_t, int64_t, float*);
TWEEDIE_IMAGES_OF(float)
TWEEDIE_IMAGES_OF(Bfloat16)
#undef TWEEDIE_IMAGES_OF
template void add_numbers(const float*, int64_t, bool, float*);
template void add_numbers(const float*, int64_t, bool, Bfloat16*);
template void add_numbers(const Bfloat16*, int64_t, bool, float*);
template void add_numbers(const Bfloat16*, int64_t, bool, Bfloat16*);

}  // namespace tweedie
