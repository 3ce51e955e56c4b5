#pragma once
// A denoiser made elsewhere: any module that PyTorch saved with torch.jit, called as f(x_t, t) with t of
// shape (B). As it comes, f(x, sigma) -> D(x; sigma); another prediction or path goes through the adapter
// (predictor.h).

#include "tweedie/predictor.h"

#include <string>

namespace tweedie {

struct TorchScriptOptions {
  static constexpr const char* kind = "torchscript";
  Shape shape;  // of one draw; empty: the module's own attribute `shape: List[int]`
  Path path = Ve{};
  Prediction prediction = Prediction::data;
};

// The module runs in the dtype of its first floating-point parameter (float32 without one), so that x may be
// float32 or float64. It is tried once on loading. Throws Error with the file's name when it can't be read,
// doesn't take (x, t), gives a tensor of another shape or not of floating point, or, then or later, NaN or
// infinity for finite x.
std::shared_ptr<const Denoiser> load_torchscript(const std::string& file, const TorchScriptOptions& options);

}  // namespace tweedie
