#pragma once

#include "tweedie/train.h"

namespace tweedie {

// Throws Error on options out of their range, and on rows or labels that the model cannot learn from.
void check_training(const TrainOptions& options, const Trainable& model, const Tensor& data,
                    const Tensor& labels);

}  // namespace tweedie
