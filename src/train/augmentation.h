#pragma once
// Copies of images that are as likely as the images themselves, made as they are learned from.

#include "tweedie/noise.h"
#include "tweedie/train.h"

namespace tweedie {

// Which of its options the user has set, to name in an Error
const char* field_of(const AugmentOptions& options);

// Throws Error naming the field of [train] unless rows of this shape can be changed as asked.
void check_augmentation(const AugmentOptions& options, const Shape& shape);

// x: (B, C, H, W) float32; row b is changed by noise's row b. Pixels from beyond an edge repeat the edge.
Tensor augmented(const Tensor& x, const AugmentOptions& options, Noise noise);

}  // namespace tweedie
