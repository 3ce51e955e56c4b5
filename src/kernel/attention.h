#pragma once
// Self-attention of one head over the pixels of one image (Vaswani et al. 2017). Numbers in memory are E,
// float or Bfloat16; arithmetic is in float32.
//
//   y = softmax(q k^T / sqrt(channels)) v
//
// q, k and v are the three thirds of the channels of `qkv`. Blocks of rows of the pixels x pixels matrix are
// made when they are needed and never kept.

#include "kernel/image.h"

namespace tweedie {

// qkv: (pixels, lanes_of(3 channels)); y: (pixels, lanes_of(channels))
template <class E>
void attend(const E* qkv, int64_t pixels, int64_t channels, E* y);
// dqkv = (or +=) what dy gives
template <class E>
void attend_gradient(const E* qkv, const E* dy, int64_t pixels, int64_t channels, bool add, E* dqkv);

}  // namespace tweedie
