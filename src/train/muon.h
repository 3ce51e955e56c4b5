#pragma once
// Muon: steps of equal size along all singular directions of a matrix of weights.

#include "tweedie/tensor.h"

namespace tweedie {

// A matrix of weights, with its output channels as rows: (out, in) or (out, in, height, width). Smaller ones,
// and vectors, are left to Adam.
bool is_matrix(const Tensor& weight);

// The polar factor U V^T of G = U S V^T, nearly: five steps of the Newton-Schulz iteration of Jordan et al.
// 2024 leave singular values of 0.7 to 1.2. gradient: (rows, columns) float32.
Tensor polar_factor(const Tensor& gradient);

struct MuonStep {
  float clip, rate, mix, keep = 1;
};
// With the gradient g, all arrays of one shape and memory layout (Jordan et al. 2024; the scale of Liu et al.
// 2025, eq. 4, for which Adam's learning rates fit):
//   m = 0.95 m + clip g,   w = keep w - rate 0.2 sqrt(max(rows, columns)) polar_factor(clip g + 0.95 m)
//   average = average + mix (w - average)
struct MuonArrays {
  Tensor weight, momentum, average;
};
void muon_step(const MuonStep& step, const Tensor& gradient, const MuonArrays& arrays);

}  // namespace tweedie
