#include "tweedie/dataset.h"

#include "core/shape.h"
#include "io/array_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

// (N, *shape) -> (N, C, H, W) for pixels, and at least one axis of values otherwise.
Tensor with_all_axes(const ArrayFile& source, const std::string& place) {
  const Tensor& x = source.values;
  if (x.numel() == 0 || x.dim() == 0) {
    throw Error(place, fmt::format("shape {}, but (N, *shape) with at least one sample is meant",
                                   to_string(x.sizes())));
  }
  if (x.is_complex()) {
    throw Error(place,
                fmt::format("dtype {}, but real data are meant; put real and imaginary parts in two channels",
                            toString(x.scalar_type())));
  }
  if (source.white && x.dim() == 3) return x.unsqueeze(0);
  if (x.scalar_type() == at::kByte && x.dim() == 3) return x.unsqueeze(1);
  return x.dim() == 1 ? x.unsqueeze(1) : x;
}

void require_range(const DataOptions& options) {
  if (options.low.has_value() != options.high.has_value()) {
    throw Error(options.low ? "data.high" : "data.low",
                "is missing; the range of the data is both or neither");
  }
  if (!options.low) return;
  if (!std::isfinite(*options.low))
    throw Error("data.low", fmt::format("{}, but a finite number is meant", *options.low));
  if (!std::isfinite(*options.high) || *options.high <= *options.low) {
    throw Error("data.high", fmt::format("{}, but a finite number above data.low = {} is meant",
                                         *options.high, *options.low));
  }
}

Dataset make_dataset(const ArrayFile& source, const DataOptions& options, const std::string& place) {
  Dataset result;
  result.crc = source.crc;
  const Tensor x = with_all_axes(source, place);
  std::optional<double> white = source.white;
  if (x.scalar_type() == at::kByte && !white) white = 255;
  if (white) {
    result.low = options.low.value_or(-1);
    result.high = options.high.value_or(1);
    result.x = x.to(at::kFloat).mul_((result.high - result.low) / *white).add_(result.low).contiguous();
    return result;
  }
  result.x = x.to(at::kFloat).contiguous();
  require_finite(result.x, place);  // float64 may be too large
  const auto least = result.x.min().item<double>();
  const auto most = result.x.max().item<double>();
  result.low = options.low.value_or(least);
  result.high = options.high.value_or(most);
  // The declared range in float32 too, lest rounding put a sample outside.
  if (least < static_cast<float>(result.low)) {
    throw Error("data.low", fmt::format("{}, but {} goes down to {}", result.low, place, least));
  }
  if (most > static_cast<float>(result.high)) {
    throw Error("data.high", fmt::format("{}, but {} goes up to {}", result.high, place, most));
  }
  return result;
}

ArrayFile read_fashion_mnist(const fs::path& folder, const std::string& name) {
  const fs::path packed = folder / (name + ".gz");
  std::error_code ignored;
  if (fs::exists(packed, ignored)) return read_array_file(packed);
  if (fs::exists(folder / name, ignored)) return read_array_file(folder / name);
  throw Error(packed.string(),
              "no such file; Debian's package brings it: apt-get install dataset-fashion-mnist");
}

Dataset load_fashion_mnist(const DataOptions& options) {
  const std::string part = options.split == DataSplit::train ? "train" : "t10k";
  const std::string images = part + "-images-idx3-ubyte";
  const std::string labels = part + "-labels-idx1-ubyte";
  const ArrayFile source = read_fashion_mnist(options.folder, images);
  const ArrayFile classes = read_fashion_mnist(options.folder, labels);
  const std::string place = (options.folder / images).string();
  if (source.values.dim() != 3 || source.values.scalar_type() != at::kByte) {
    throw Error(place,
                fmt::format("shape {}, but (N, H, W) uint8 is meant", to_string(source.values.sizes())));
  }
  if (classes.values.dim() != 1 || classes.values.size(0) != source.values.size(0)) {
    throw Error((options.folder / labels).string(),
                fmt::format("shape {}, but one label for each of {} images is meant",
                            to_string(classes.values.sizes()), source.values.size(0)));
  }
  Dataset result = make_dataset(source, options, place);
  result.labels = classes.values.to(at::kLong);
  result.name = options.split == DataSplit::train ? "fashion-mnist" : "fashion-mnist-test";
  return result;
}

}  // namespace

Dataset load_dataset(const DataOptions& options) {
  require_range(options);
  if (options.kind == DataKind::fashion_mnist) return load_fashion_mnist(options);
  if (options.file.empty()) throw Error("data.file", "is missing; a file or a folder of images is meant");
  Dataset result = make_dataset(read_array_file(options.file), options, options.file.string());
  result.name = options.file.filename().string();
  return result;
}

}  // namespace tweedie
