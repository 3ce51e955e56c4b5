#pragma once
// The table [measurement.operator] of a config file: which operator, and its parameters.

#include "tweedie/composite_operator_options.h"
#include "tweedie/image_operator_options.h"
#include "tweedie/imaging_options.h"
#include "tweedie/nonlinear_operator_options.h"
#include "tweedie/operators.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <optional>
#include <variant>

namespace tweedie {

struct IdentityOptions {
  static constexpr const char* kind = "identity";
};

struct MaskOptions {
  static constexpr const char* kind = "mask";
  enum class Pattern { random, box, file };
  Pattern pattern = Pattern::random;
  double fraction = 0.25;                            // random: of the pixels that are kept, 0 < fraction <= 1
  int64_t top = 0, left = 0, height = 0, width = 0;  // box: the pixels that are hidden
  std::filesystem::path file{};                      // file: 1 kept, 0 hidden; the domain's shape or (H, W)
  std::optional<uint64_t> seed{};                    // random: of the choice; else it is the config's
};

struct BlurOptions {
  static constexpr const char* kind = "blur";
  enum class Kernel { gaussian, file, motion };
  Kernel kernel = Kernel::gaussian;
  double std = 1;                // gaussian: pixels, 0 < std <= 1000
  std::filesystem::path file{};  // file: (kh, kw), convolved as it is
  Boundary boundary = Boundary::circular;
  double length = 9, angle = 0;  // motion: pixels, and degrees counter-clockwise from the horizontal
};

struct DownsampleOptions {
  static constexpr const char* kind = "downsample";
  int64_t factor = 2;  // divides height and width
};

struct MatrixOptions {
  static constexpr const char* kind = "matrix";
  std::filesystem::path matrix{};  // (m, d), d the size of the flattened domain
};

using OperatorOptions =
    std::variant<IdentityOptions, MaskOptions, BlurOptions, DownsampleOptions, MatrixOptions,
                 // images and sensing
                 CropOptions, BicubicOptions, VaryingBlurOptions, DecolourOptions, ColourOptions,
                 WaveletOptions, DifferencesOptions, SparseOptions, CompressedSensingOptions,
                 // imaging
                 FourierOptions, MultiCoilOptions, NufftOptions, RadonOptions,
                 // made of others
                 ComposeOptions, SumOptions, StackOptions, BlockDiagonalOptions, AdjointOptions, ScaleOptions,
                 // not linear, and the user's own
                 PhaseRetrievalOptions, SaturationOptions, QuantisationOptions, PerspectiveOptions,
                 TorchscriptOperatorOptions, SubprocessOptions>;

struct OperatorPart {
  OperatorOptions options;
};
// Those of an operator of Cartesian k-space, or null; for OperatorOptions, const or not
template <class Options>
auto cartesian_of(Options& options) -> decltype(&std::get<FourierOptions>(options).cartesian) {
  if (auto* o = std::get_if<FourierOptions>(&options)) return &o->cartesian;
  if (auto* o = std::get_if<MultiCoilOptions>(&options)) return &o->cartesian;
  return nullptr;
}

using ReadArray = std::function<Tensor(const std::filesystem::path&)>;

// The operator that the options describe, on x of shape `domain`. `noise` chooses the pixels of a random
// mask without a seed; `read_array` reads the files, and what it throws passes through. Anything else wrong
// is an Error that names the field ("measurement.operator.factor", "measurement.operator.parts[1].factor"),
// its value and what was meant.
ForwardOperatorPtr make_operator(const OperatorOptions& options, const Shape& domain, const Noise& noise,
                                 const ReadArray& read_array);

// Whether the options, or any part of them, are of this kind.
template <class Options>
bool holds(const OperatorOptions& options) {
  if (std::holds_alternative<Options>(options)) return true;
  return std::visit(
      []<class Any>(const Any& any) {
        if constexpr (requires { any.parts; }) {
          return std::any_of(any.parts.begin(), any.parts.end(),
                             [](const OperatorPart& part) { return holds<Options>(part.options); });
        }
        return false;
      },
      options);
}

}  // namespace tweedie
