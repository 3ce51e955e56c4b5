#pragma once
// The arithmetic of a training step on arrays in float32, each in one pass over memory.

#include <cstdint>
#include <vector>

namespace tweedie {

// sum(i) = scale (part_1(i) + part_2(i) + ...), added in this order, for `count` numbers. Returns |sum|^2.
double sum_gradients(const std::vector<const float*>& parts, int64_t count, float scale, float* sum);

// Adam (Kingma & Ba 2015, algorithm 1, its two corrections of the bias in `rate` and `second`) with the
// average of the weights behind it:
//   m = b1 m + (1 - b1) clip g,   v = b2 v + (1 - b2) (clip g)^2,
//   w = keep w - rate m / (sqrt(v) / second + 1e-8),   average = average + mix (w - average)
// keep = 1 - the uncorrected rate x the decay (AdamW, Loshchilov & Hutter 2019).
struct AdamStep {
  float clip, rate, second, mix, keep = 1;
};
struct AdamArrays {
  float *weight, *moment1, *moment2, *average;
};
constexpr double adam_beta1 = 0.9, adam_beta2 = 0.999;
void adam_step(const AdamStep& step, const float* gradient, int64_t count, const AdamArrays& arrays);

}  // namespace tweedie
