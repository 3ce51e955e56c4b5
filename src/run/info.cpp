// tweedie info: what a file holds, as far as reading it says.

#include "run/info.h"

#include "core/shape.h"
#include "io/array_file.h"
#include "io/safetensors.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <type_traits>
#include <vector>

namespace tweedie {

namespace {

int64_t numbers_in(const StoredTensors& file, const std::string& prefix = "") {
  int64_t result = 0;
  for (const StoredArray& array : file.arrays) {
    if (array.name.starts_with(prefix)) result += product(array.shape);
  }
  return result;
}

std::optional<Summary> describe_safetensors(const std::filesystem::path& path, const FlopsOf& flops_of_card,
                                            Summary summary) {
  const std::string place = path.string();
  const Bytes bytes = read_bytes(path);
  const StoredTensors file = scan_safetensors(bytes, place);
  require_finite(file, place);
  if (file.metadata.count("tweedie.model") > 0) {
    require_checksum(file, place);
    const ModelCard card = model_card(file.metadata, place);
    const bool has_network = takes_network(card.model);
    std::optional<double> flops = flops_of(file.metadata);
    if (!flops && flops_of_card) flops = flops_of_card(card);
    if (!flops && has_network) return {};
    summary["kind"] = "model";
    summary["family"] = std::visit([](const auto& m) { return m.kind; }, card.model);
    if (has_network) summary["network"] = std::visit([](const auto& n) { return n.kind; }, card.network);
    summary["weights"] = numbers_in(file);
    summary["shape"] = card.shape;
    summary["range"] = {card.low, card.high};
    summary["sigma_data"] = card.sigma_data;
    summary["data"] = card.data;
    summary["steps"] = card.steps;
    if (card.classes > 0) summary["classes"] = card.classes;
    if (has_network) summary["flops_per_evaluation"] = *flops;
    summary["model"] = file.metadata.at("tweedie.model");
    summary["training"] = training_of(file.metadata, place);
  } else if (file.metadata.count("tweedie.step") > 0) {
    require_checksum(file, place);
    const CheckpointCard card = checkpoint_card(file.metadata, place);
    summary["kind"] = "checkpoint";
    summary["step"] = card.step;
    summary["total_steps"] = card.total_steps;
    summary["weights"] = numbers_in(file, "weights/");
    summary["training"] = training_of(file.metadata, place);
  } else {
    summary["kind"] = "safetensors";
    summary["metadata"] = file.metadata;
  }
  summary["arrays"] = file.arrays.size();
  summary["numbers"] = numbers_in(file);
  return summary;
}

template <class Number>
void describe_numbers(const Number* begin, int64_t count, Summary& summary) {
  if constexpr (std::is_floating_point_v<Number>) {
    const auto is_finite = [](Number x) { return std::isfinite(x); };
    if (const int64_t kept = std::count_if(begin, begin + count, is_finite); kept < count) {
      summary["missing"] = count - kept;  // NaN or infinite
      std::vector<Number> finite;
      finite.reserve(static_cast<size_t>(kept));
      std::copy_if(begin, begin + count, std::back_inserter(finite), is_finite);
      if (kept > 0) describe_numbers(finite.data(), kept, summary);
      return;
    }
  }
  const auto [least, most] = std::minmax_element(begin, begin + count);
  summary["min"] = static_cast<double>(*least);
  summary["max"] = static_cast<double>(*most);
  // In blocks, so that rounding does not grow with the number of numbers.
  const auto sum_of = [&](const auto& term) {
    double total = 0;
    for (int64_t start = 0; start < count; start += 1024) {
      double sum = 0;
      for (int64_t i = start; i < std::min(start + 1024, count); ++i)
        sum += term(static_cast<double>(begin[i]));
      total += sum;
    }
    return total;
  };
  const double mean = sum_of([](double x) { return x; }) / static_cast<double>(count);
  summary["mean"] = mean;
  if (count == 1) return;
  const double squares = sum_of([mean](double x) { return (x - mean) * (x - mean); });
  summary["std"] = std::sqrt(squares / static_cast<double>(count - 1));
}

template <class Number>
void describe_numbers(const Tensor& array, Summary& summary) {
  describe_numbers(static_cast<const Number*>(array.data_ptr()), array.numel(), summary);
}

// What the file says beside the numbers
void describe_file(const ArrayMeta& meta, Summary& summary) {
  summary["format"] = names(FileFormat{}).at(static_cast<size_t>(meta.format));
  if (!meta.dtype.empty()) summary["stored_dtype"] = meta.dtype;
  if (meta.slope != 1 || meta.intercept != 0) summary["scaling"] = {meta.slope, meta.intercept};
  if (!meta.units.empty()) summary["units"] = one_line(meta.units);
  if (!meta.spacing.empty()) summary["spacing"] = meta.spacing;
  if (!meta.spacing.empty() && !meta.spacing_units.empty())
    summary["spacing_units"] = one_line(meta.spacing_units);
  if (!meta.orientation.empty()) summary["orientation"] = one_line(meta.orientation);
  if (!meta.affine.empty()) summary["affine"] = meta.affine;
}

void describe_array(const std::filesystem::path& path, Summary& summary) {
  const ArrayFile file = read_array_file(path, /*finite=*/false);
  const Tensor& array = file.values;
  summary["kind"] = "array";
  summary["shape"] = array.sizes().vec();
  summary["dtype"] = toString(array.scalar_type());
  describe_file(file.meta, summary);
  if (array.numel() == 0) return;
  switch (array.scalar_type()) {
    case at::kDouble:
      return describe_numbers<double>(array, summary);
    case at::kFloat:
      return describe_numbers<float>(array, summary);
    case at::kLong:
      return describe_numbers<int64_t>(array, summary);
    case at::kInt:
      return describe_numbers<int32_t>(array, summary);
    case at::kShort:
      return describe_numbers<int16_t>(array, summary);
    case at::kChar:
      return describe_numbers<int8_t>(array, summary);
    case at::kByte:
      return describe_numbers<uint8_t>(array, summary);
    case at::kBool:
      return describe_numbers<bool>(array, summary);
    default:;  // complex
  }
}

}  // namespace

std::optional<Summary> info_by_reading(const std::filesystem::path& file, const FlopsOf& flops_of_card) {
  Summary summary{{"command", "info"}, {"file", file.string()}};
  const auto extension = file.extension();
  if (extension == ".toml" || extension == ".pt") return {};
  if (extension == ".safetensors") return describe_safetensors(file, flops_of_card, std::move(summary));
  describe_array(file, summary);
  return summary;
}

}  // namespace tweedie
