#include "tweedie/dataset.h"

#include "core/shape.h"
#include "io/data_source.h"
#include "io/labels.h"
#include "io/option_fields.h"
#include "tweedie/densities.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
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

// Row numbers of a part of what its source does not split: 4 : 1, by one shuffle for good.
Tensor shuffled_part(int64_t count, DataSplit split) {
  const std::vector<int64_t> order = Noise(0).stream(Stream::order).permutation(count);
  const auto first = order.begin() + count * 4 / 5;
  return split == DataSplit::train ? at::tensor(std::vector<int64_t>(order.begin(), first))
                                   : at::tensor(std::vector<int64_t>(first, order.end()));
}

// Neighbours are nearly alike, so they are split in blocks.
Tensor block_part(int64_t count, DataSplit split) {
  const Tensor row = at::arange(count), in_train = row.remainder(20) < 16;
  return row.masked_select(split == DataSplit::train ? in_train : in_train.logical_not());
}

Dataset part_of(const DataSource& source, const Tensor& rows, const DataOptions& options) {
  if (rows.numel() == 0)
    throw Error("data.split", fmt::format("leaves none of {}'s few samples", source.place));
  DataSource part = source;
  part.array.values = source.array.values.index_select(0, rows);
  Dataset result = make_dataset(part.array, options, part.place);
  if (source.labels.defined()) result.labels = source.labels.index_select(0, rows);
  return result;
}

Dataset whole(const DataSource& source, const DataOptions& options) {
  Dataset result = make_dataset(source.array, options, source.place);
  result.labels = source.labels;
  return result;
}

Dataset shuffled(const DataSource& source, const DataOptions& options) {
  return part_of(source, shuffled_part(source.array.values.size(0), options.split), options);
}

Dataset draw_density(Density density, const DataOptions& options, const std::string& name) {
  if (options.count < 1) throw Error("data.count", fmt::format("{}, but >= 1 is meant", options.count));
  Noise noise = Noise(options.seed).stream(Stream::truth).stream(static_cast<uint64_t>(options.split));
  const Tensor x = sample(density, options.count, noise).to(at::kFloat).contiguous();
  return make_dataset({x, {}, crc32_of(view_of(x))}, options, name);
}

Dataset load_file(const DataOptions& options) {
  if (options.file.empty()) throw Error("data.file", "is missing; a file or a folder of images is meant");
  if (options.split == DataSplit::test)
    throw Error("data.split", "test, but a file is taken whole; give the file of the test samples");
  if (options.label_column && !options.labels.empty())
    throw Error("data.label_column", "labels is given too; one of them is meant");
  const std::string place = options.file.string();
  DataSource source{read_array_file(options.file), {}, place};
  Tensor& x = source.array.values;
  if (options.label_column) {
    LabelledTable table = take_label_column(x, *options.label_column, place);
    x = std::move(table.values);
    source.labels = std::move(table.labels);
  }
  if (!options.shape.empty() && x.dim() > 0 && x.numel() > 0) {
    const bool positive =
        std::all_of(options.shape.begin(), options.shape.end(), [](int64_t size) { return size >= 1; });
    const auto each = static_cast<uint64_t>(x.numel() / x.size(0));
    if (!positive || bytes_of(options.shape, 1, "data.shape") != each) {
      throw Error("data.shape", fmt::format("{}, but {} has samples of {}", to_string(options.shape), place,
                                            to_string(x.sizes().slice(1))));
    }
    x = x.reshape(with_batch(x.size(0), options.shape));
  }
  Dataset result = whole(source, options);
  if (!options.labels.empty()) {
    const ArrayFile labels = read_array_file(options.labels);
    result.labels = checked_labels(labels.values, result.x.size(0), options.labels.string());
    result.crc = crc32_of(view_of(result.labels), result.crc);
  }
  return result;
}

// What would not be used is a mistake.
void require_used(const DataOptions& options, const std::string& kind) {
  const auto refuse = [&](const char* field) {
    throw Error(std::string("data.") + field,
                fmt::format("is given, but kind = \"{}\" does not use it", kind));
  };
  const bool file = options.kind == DataKind::file, glyphs = options.kind == DataKind::glyphs;
  const bool mri = options.kind == DataKind::mri;
  if (!file && !glyphs && !mri && !options.file.empty()) refuse("file");
  if (!file && !options.labels.empty()) refuse("labels");
  if (!file && options.label_column) refuse("label_column");
  if (!file && !options.shape.empty()) refuse("shape");
  if (!glyphs && !mri && options.size) refuse("size");
  const bool density = density_of(options.kind).has_value();
  if ((file || density) && options.folder) refuse("folder");
  const DataOptions given_nothing;
  if (!density && options.count != given_nothing.count) refuse("count");
  if (!density && options.seed != given_nothing.seed) refuse("seed");
  if (!glyphs && options.characters != given_nothing.characters) refuse("characters");
}

Dataset load(const DataOptions& options, const std::string& name) {
  switch (options.kind) {
    case DataKind::file:
      return load_file(options);
    case DataKind::fashion_mnist:
      return whole(read_fashion_mnist(options), options);
    case DataKind::digits:
      return shuffled(read_digits(options), options);
    case DataKind::glyphs:
      return shuffled(read_glyphs(options), options);
    case DataKind::faces:
      return shuffled(read_faces(options), options);
    case DataKind::mri: {
      const DataSource source = read_mri(options);
      return part_of(source, block_part(source.array.values.size(0), options.split), options);
    }
    case DataKind::eight_gaussians:
    case DataKind::grid_gaussians:
    case DataKind::s_curve:
    case DataKind::two_moons:
    case DataKind::rings:
    case DataKind::spiral:
    case DataKind::checkerboard:
    case DataKind::funnel:
      break;
  }
  return draw_density(density_of(options.kind).value(), options, name);
}

}  // namespace

std::optional<Density> density_of(DataKind kind) {
  constexpr auto first = static_cast<int>(DataKind::eight_gaussians);
  static_assert(static_cast<int>(DataKind::funnel) - first == static_cast<int>(Density::funnel));
  static_assert(names(DataKind{}).size() == first + names(Density{}).size());
  const int index = static_cast<int>(kind) - first;
  return index < 0 ? std::nullopt : std::optional(static_cast<Density>(index));
}

Dataset load_dataset(const DataOptions& options) {
  require_range(options);
  std::string name = names(DataKind{}).at(static_cast<size_t>(options.kind));
  require_used(options, name);
  if (options.kind == DataKind::file) name = options.file.filename().string();
  if (options.split == DataSplit::test) name += "-test";
  Dataset result = load(options, name);
  result.name = name;
  return result;
}

}  // namespace tweedie
