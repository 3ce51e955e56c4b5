#include "train/augmentation.h"

#include "core/shape.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

const char* field_of(const AugmentOptions& options) {
  return options.mirror != Mirror::none ? "train.mirror" : "train.shift";
}

void check_augmentation(const AugmentOptions& options, const Shape& shape) {
  if (!options.any()) return;
  if (shape.size() != 3) {
    throw Error(field_of(options),
                fmt::format("rows of shape {} are no images; (C, H, W) is needed", to_string(shape)));
  }
  const int64_t side = std::min(shape[1], shape[2]);
  if (options.shift < 0 || options.shift >= side)
    throw Error("train.shift", fmt::format("{}: 0 to {} pixels is meant", options.shift, side - 1));
}

Tensor augmented(const Tensor& x, const AugmentOptions& options, Noise noise) {
  if (!options.any()) return x;
  const int64_t rows = x.size(0), channels = x.size(1), height = x.size(2), width = x.size(3);
  const Tensor uniform = noise.uniform({rows, 4}, at::kFloat);
  const Tensor from = x.contiguous();
  Tensor to = at::empty_like(from);
  const auto* u = uniform.data_ptr<float>();
  const auto offset = [&](float v) {  // uniform on -shift .. shift
    return std::min(static_cast<int64_t>(v * static_cast<float>(2 * options.shift + 1)), 2 * options.shift) -
           options.shift;
  };
  for (int64_t b = 0; b < rows; ++b, u += 4) {
    const bool left_right = options.mirror != Mirror::none && u[0] < 0.5F;
    const bool upside_down = options.mirror == Mirror::both && u[1] < 0.5F;
    const int64_t down = offset(u[2]), right = offset(u[3]);
    const float* image = from.data_ptr<float>() + b * channels * height * width;
    float* result = to.data_ptr<float>() + b * channels * height * width;
    for (int64_t c = 0; c < channels; ++c, image += height * width) {
      for (int64_t i = 0; i < height; ++i, result += width) {
        const int64_t row =
            std::clamp<int64_t>(upside_down ? height - 1 - i - down : i - down, 0, height - 1);
        for (int64_t j = 0; j < width; ++j) {
          const int64_t column = left_right ? width - 1 - j - right : j - right;
          result[j] = image[row * width + std::clamp<int64_t>(column, 0, width - 1)];
        }
      }
    }
  }
  return to;
}

}  // namespace tweedie
