#pragma once

#include "tweedie/tensor.h"

#include <vector>

namespace tweedie {

// d loss / d leaves, as torch::autograd::grad gives, once: the loss cannot be differentiated again. Every
// leaf has a part in it.
std::vector<Tensor> gradient(const Tensor& loss, const std::vector<Tensor>& leaves);

}  // namespace tweedie
