#include "train/muon.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

constexpr double momentum = 0.95;
constexpr int64_t least_size = 16;
constexpr int steps = 5;

// (rows, columns), of the same memory: kernels are (out, height, width, in) there
Tensor matrix(const Tensor& weight) {
  if (weight.dim() == 2) return weight;
  return (weight.dim() == 4 ? weight.permute({0, 2, 3, 1}) : weight).view({weight.size(0), -1});
}

}  // namespace

bool is_matrix(const Tensor& weight) {
  return weight.dim() >= 2 && weight.size(0) >= least_size && weight.numel() / weight.size(0) >= least_size;
}

Tensor polar_factor(const Tensor& gradient) {
  const bool tall = gradient.size(0) > gradient.size(1);
  const Tensor x = (tall ? gradient.t() : gradient) / (gradient.norm() + 1e-7);
  // A step is X <- P X, P = 3.4445 I - 4.7750 A + 2.0315 A^2, A = X X^T. All P and A commute, so that
  // products among matrices of the smaller side are enough.
  Tensor a = x.mm(x.t()), product;
  for (int i = 0; i < steps; ++i) {
    Tensor p = (-4.7750 * a).addmm_(a, a, 1, 2.0315);
    p.diagonal().add_(3.4445);
    product = i == 0 ? p : p.mm(product);
    if (i + 1 < steps) a = p.mm(a).mm(p);
  }
  const Tensor factor = product.mm(x);
  return tall ? factor.t() : factor;
}

void muon_step(const MuonStep& step, const Tensor& gradient, const MuonArrays& arrays) {
  const Tensor g = gradient * step.clip;
  arrays.momentum.mul_(momentum).add_(g);
  const Tensor direction = matrix(g.add(arrays.momentum, momentum));
  const double size = 0.2 * std::sqrt(static_cast<double>(std::max(direction.size(0), direction.size(1))));
  const Tensor weight = matrix(arrays.weight);
  weight.mul_(step.keep).sub_(polar_factor(direction), step.rate * size);
  arrays.average.add_(arrays.weight - arrays.average, step.mix);
}

}  // namespace tweedie
