#pragma once
// Files of measurements and truths, in the units of the prior.

#include "tweedie/file_format.h"

#include <optional>

namespace tweedie {

// What the darkest and the brightest pixel of a picture stand for.
struct PixelRange {
  double low, high;
};

struct MeasuredFile {
  Tensor values;                    // float64 or complex128
  ArrayMeta meta;                   // as the file says
  std::optional<PixelRange> range;  // that its pixels were scaled to
  at::ScalarType dtype;             // float32 where the file's numbers are, else float64
};

// A measurement or a truth. Pictures are scaled to the range, where there is one.
MeasuredFile read_measured(const std::filesystem::path& path, const std::optional<PixelRange>& range);

// A mask, a kernel or a matrix: as read_array, but pictures of one channel are (H, W), and those that are
// black and white only are 0 and 1.
Tensor read_for_operator(const std::filesystem::path& path);

// array as `shape`, where they differ by axes of size 1 only; else array itself
Tensor with_axes_of(const Tensor& array, at::IntArrayRef shape);

}  // namespace tweedie
