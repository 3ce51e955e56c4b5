#pragma once
// Configs of the operators of nonlinear_operators.h and user_operators.h.

#include "tweedie/nonlinear_operators.h"
#include "tweedie/user_operators.h"

#include <filesystem>

namespace tweedie {

struct PhaseRetrievalOptions {
  static constexpr const char* kind = "phase-retrieval";
  enum class Coding { none, phase, binary };
  double oversampling = 2;  // 1 to 16
  Detector detector = Detector::amplitude;
  bool complex = false;          // x is (2, H, W): real and imaginary part
  Coding coding = Coding::none;  // random masks before the transform
  int64_t masks = 4;             // how many
  uint64_t seed = 0;             // of the masks
};

struct SaturationOptions {
  static constexpr const char* kind = "saturation";
  ToneCurve curve = ToneCurve::clip;
  double gain = 2;
  double low = -1, high = 1;
};

struct QuantisationOptions {
  static constexpr const char* kind = "quantisation";
  int64_t levels = 16;
  double low = -1, high = 1;
  QuantiserDerivative derivative = QuantiserDerivative::straight_through;
};

struct PerspectiveOptions {
  static constexpr const char* kind = "perspective";
  std::filesystem::path cameras{};           // (3, 4) or (k, 3, 4); or else the following
  std::filesystem::path intrinsics{};        // K (3, 3)
  std::filesystem::path rotation{};          // R (3, 3); by default I
  std::vector<double> translation{0, 0, 0};  // t
  double baseline = 0;    // not 0: a stereo pair, the second camera so far along the first's x axis
  double nearest = 0.01;  // smaller depths count as this one
};

struct TorchscriptOperatorOptions {
  static constexpr const char* kind = "torchscript";
  std::filesystem::path file{};
  std::string adjoint{};  // a method of the module; then it is linear
};

struct SubprocessOptions {
  static constexpr const char* kind = "subprocess";
  std::vector<std::string> command{};
  std::filesystem::path folder{};
  bool linear = true;
  double timeout = 60;
};

}  // namespace tweedie
