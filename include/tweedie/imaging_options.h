#pragma once
// The tables [measurement.operator] of magnetic resonance imaging and tomography.

#include "tweedie/imaging.h"
#include "tweedie/nufft.h"
#include "tweedie/tomography.h"

#include <filesystem>
#include <optional>

namespace tweedie {

// What of Cartesian k-space is measured: `mask`, a file, or a pattern.
struct CartesianOptions {
  std::filesystem::path mask{};  // 1 measured, 0 not: (H, W), or (W), the same in all rows
  SamplingOptions sampling{};
  KSpaceOptions k_space{};
};

struct FourierOptions {
  static constexpr const char* kind = "fourier";
  CartesianOptions cartesian{};
};

struct MultiCoilOptions {
  static constexpr const char* kind = "multi-coil";
  std::filesystem::path sensitivities{};  // (coils, H, W), complex
  CartesianOptions cartesian{};
};

struct NufftOptions {
  static constexpr const char* kind = "nufft";
  enum class Trajectory { radial, spiral, file };
  Trajectory trajectory = Trajectory::radial;
  std::filesystem::path file{};           // file: (points, 2) or (lines, samples, 2), cycles per pixel
  int64_t spokes = 64;                    // radial
  bool golden = true;                     // radial: golden angle, or uniform
  int64_t interleaves = 16;               // spiral
  std::optional<double> turns{};          // spiral; as many as leave no gaps when not given
  std::optional<int64_t> samples{};       // of a spoke or interleave; as many as leave no gaps when not given
  std::filesystem::path sensitivities{};  // (coils, H, W), complex; none: one coil that sees all alike
  NufftSettings settings{};
};

struct RadonOptions {
  static constexpr const char* kind = "radon";
  RadonGeometry::Beam beam = RadonGeometry::Beam::parallel;
  int64_t views = 180;
  std::optional<double> range{};       // degrees that they cover evenly; parallel: 180, fan: 360
  double first = 0;                    // angle of the first, degrees
  std::filesystem::path angles{};      // instead: (views), degrees
  std::optional<int64_t> detectors{};  // as many as see the whole image when not given
  double spacing = 1, pixel = 1, source_distance = 0, detector_distance = 0;  // as in RadonGeometry
};

}  // namespace tweedie
