#pragma once
// A small network with weights that are nowhere zero, as after training.

#include "tweedie/network.h"

#include "check_tensor.h"

namespace tweedie {

inline Weights perturbed(const Network& network, double size = 0.1) {
  const Weights start = network.initialise(Noise(1));
  Noise noise(2);
  std::vector<Tensor> tensors;
  for (const Tensor& t : start.tensors()) {
    tensors.push_back(t + size * noise.normal({1, t.numel()}, at::kFloat).view(t.sizes()));
  }
  return start.with(std::move(tensors));
}

// Attention at one of two resolutions
inline std::shared_ptr<const Network> tiny_unet(const Shape& shape = {1, 8, 8}) {
  return make_network(
      UNetOptions{.channels = 8, .multipliers = {1, 2}, .blocks = 1, .attention = {shape[1] / 2}}, shape);
}

}  // namespace tweedie
