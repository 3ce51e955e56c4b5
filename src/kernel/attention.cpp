#include "kernel/attention.h"

#include "core/elementary.h"
#include "kernel/product.h"
#include "kernel/scratch.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tweedie {

namespace {

constexpr int64_t block_rows = 64;

// Each row s <- softmax(scale s) over its first `count` numbers, and zero behind them
TWEEDIE_INLINE void softmax_rows(float* s, int64_t rows, int64_t count, int64_t stride, float scale) {
  for (int64_t i = 0; i < rows; ++i, s += stride) {
    float largest = s[0];
    for (int64_t j = 1; j < count; ++j) largest = s[j] > largest ? s[j] : largest;
    for (int64_t j = count; j < stride; ++j) s[j] = largest;
    Lanes16 sum{};
    for (int64_t j = 0; j < stride; j += 16) {
      const Lanes16 e = exp_lanes((load16(s + j) - largest) * scale);
      store16(s + j, e);
      sum += e;
    }
    const float total = sum_lanes<float>(sum) - static_cast<float>(stride - count);
    for (int64_t j = 0; j < stride; j += 16) store16(s + j, load16(s + j) / total);
    for (int64_t j = count; j < stride; ++j) s[j] = 0;
  }
}

// d <- s (d - sum(s d)) scale: from the gradient of the softmax to that of q k^T
TWEEDIE_INLINE void softmax_gradient(const float* s, float* d, int64_t rows, int64_t stride, float scale) {
  for (int64_t i = 0; i < rows; ++i, s += stride, d += stride) {
    Lanes16 sum{};
    for (int64_t j = 0; j < stride; j += 16) sum += load16(s + j) * load16(d + j);
    const float mean = sum_lanes<float>(sum);
    for (int64_t j = 0; j < stride; j += 16) store16(d + j, load16(s + j) * (load16(d + j) - mean) * scale);
  }
}

// A third of the channels, as an image of its own in float32
template <class E>
void third(const E* qkv, int64_t index, int64_t pixels, int64_t channels, float* to) {
  const int64_t lanes = lanes_of(channels), all = lanes_of(3 * channels);
  std::fill_n(to, pixels * lanes, 0.0F);
  for (int64_t p = 0; p < pixels; ++p) {
    const E* pixel = qkv + p * all + index * channels;
    for (int64_t c = 0; c < channels; ++c) to[p * lanes + c] = widen(pixel[c]);
  }
}
template <class E>
void add_third(const float* from, int64_t index, int64_t pixels, int64_t channels, E* to) {
  const int64_t lanes = lanes_of(channels), all = lanes_of(3 * channels);
  for (int64_t p = 0; p < pixels; ++p) {
    E* pixel = to + p * all + index * channels;
    for (int64_t c = 0; c < channels; ++c) pixel[c] = narrow<E>(widen(pixel[c]) + from[p * lanes + c]);
  }
}

PanelMatrix packed(const float* values, int64_t k) {
  return {values, panel_columns, k * panel_columns};
}
PanelMatrix by_rows(const float* values, int64_t row) {
  return {values, row, panel_columns};
}

}  // namespace

template <class E>
void attend(const E* qkv, int64_t pixels, int64_t channels, E* y) {
  const int64_t lanes = lanes_of(channels), columns = lanes_of(pixels), image = pixels * lanes;
  const int64_t keys = PackedMatrix::packed_size(channels, pixels), block = block_rows * columns;
  const float scale = 1 / std::sqrt(static_cast<float>(channels));
  Scratch scratch(Scratch::sum({image, image, image, keys, block, block_rows * lanes}));
  float *q = scratch.take(image), *k = scratch.take(image), *v = scratch.take(image);
  float *keys_packed = scratch.take(keys), *s = scratch.take(block);
  float* mixed = scratch.take(block_rows * lanes);
  third(qkv, 0, pixels, channels, q);
  third(qkv, 1, pixels, channels, k);
  third(qkv, 2, pixels, channels, v);
  PackedMatrix::pack(k, 1, lanes, channels, pixels, keys_packed);
  for (int64_t begin = 0; begin < pixels; begin += block_rows) {
    const int64_t rows = std::min(block_rows, pixels - begin);
    multiply({q + begin * lanes, lanes}, packed(keys_packed, channels), s, columns, rows, channels, columns);
    vectorised<softmax_rows>(s, rows, pixels, columns, scale);
    multiply({s, columns}, by_rows(v, lanes), mixed, lanes, rows, pixels, lanes);
    add_numbers(mixed, rows * lanes, false, y + begin * lanes);
  }
}

template <class E>
void attend_gradient(const E* qkv, const E* dy, int64_t pixels, int64_t channels, bool add, E* dqkv) {
  const int64_t lanes = lanes_of(channels), columns = lanes_of(pixels), image = pixels * lanes;
  const int64_t keys = PackedMatrix::packed_size(channels, pixels), block = block_rows * columns;
  const float scale = 1 / std::sqrt(static_cast<float>(channels));
  Scratch scratch(Scratch::sum({image, image, image, image, image, image, image, keys, keys, block, block}));
  float *q = scratch.take(image), *k = scratch.take(image), *v = scratch.take(image);
  float *d = scratch.take(image), *dq = scratch.take(image), *dk = scratch.take(image),
        *dv = scratch.take(image);
  float *keys_packed = scratch.take(keys), *values_packed = scratch.take(keys);
  float *s = scratch.take(block), *ds = scratch.take(block);
  third(qkv, 0, pixels, channels, q);
  third(qkv, 1, pixels, channels, k);
  third(qkv, 2, pixels, channels, v);
  add_numbers(dy, image, false, d);
  PackedMatrix::pack(k, 1, lanes, channels, pixels, keys_packed);
  PackedMatrix::pack(v, 1, lanes, channels, pixels, values_packed);
  for (int64_t begin = 0; begin < pixels; begin += block_rows) {
    const int64_t rows = std::min(block_rows, pixels - begin);
    const float *q_rows = q + begin * lanes, *d_rows = d + begin * lanes;
    multiply({q_rows, lanes}, packed(keys_packed, channels), s, columns, rows, channels, columns);
    vectorised<softmax_rows>(s, rows, pixels, columns, scale);
    multiply({d_rows, lanes}, packed(values_packed, channels), ds, columns, rows, channels, columns);
    multiply({s, 1, columns}, by_rows(d_rows, lanes), dv, lanes, pixels, rows, lanes,
             {.all = begin > 0 ? dv : nullptr});
    vectorised<softmax_gradient>(static_cast<const float*>(s), ds, rows, columns, scale);
    multiply({ds, columns}, by_rows(k, lanes), dq + begin * lanes, lanes, rows, pixels, lanes);
    multiply({ds, 1, columns}, by_rows(q_rows, lanes), dk, lanes, pixels, rows, lanes,
             {.all = begin > 0 ? dk : nullptr});
  }
  if (!add) std::fill_n(dqkv, pixels * lanes_of(3 * channels), E{});
  add_third(dq, 0, pixels, channels, dqkv);
  add_third(dk, 1, pixels, channels, dqkv);
  add_third(dv, 2, pixels, channels, dqkv);
}

template void attend(const float*, int64_t, int64_t, float*);
template void attend(const Bfloat16*, int64_t, int64_t, Bfloat16*);
template void attend_gradient(const float*, const float*, int64_t, int64_t, bool, float*);
template void attend_gradient(const Bfloat16*, const Bfloat16*, int64_t, int64_t, bool, Bfloat16*);

}  // namespace tweedie
