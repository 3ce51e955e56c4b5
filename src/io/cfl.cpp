#include "io/cfl.h"

#include "core/shape.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace tweedie {

namespace {

constexpr std::string_view title = "# Dimensions";
constexpr size_t most_axes = 16;

// The sizes after the title, first axis first
Shape dimensions(std::string_view text, const std::string& place) {
  if (!text.starts_with(title)) throw Error(place, "is no BART header: it does not begin with # Dimensions");
  size_t at = text.find('\n');
  if (at == std::string_view::npos) throw Error(place, "truncated: no line after # Dimensions");
  const size_t end = std::min(text.find('\n', ++at), text.size());
  Shape result;
  while (true) {
    while (at < end && (text[at] == ' ' || text[at] == '\t' || text[at] == '\r')) ++at;
    if (at >= end) break;
    int64_t size = 0;
    const auto [next, error] = std::from_chars(text.data() + at, text.data() + end, size);
    const bool separate = next == text.data() + end || *next == ' ' || *next == '\t' || *next == '\r';
    if (error != std::errc() || size < 1 || !separate)
      throw Error(place, fmt::format("dimension {}: a whole number from 1 is meant", result.size() + 1));
    if (result.size() == most_axes) throw Error(place, fmt::format("more than {} dimensions", most_axes));
    result.push_back(size);
    at = static_cast<size_t>(next - text.data());
  }
  if (result.empty()) throw Error(place, "no dimensions after # Dimensions");
  return result;
}

std::string joined(const Shape& shape) {
  std::string result;
  for (const int64_t size : shape) result += (result.empty() ? "" : " ") + std::to_string(size);
  return result;
}

}  // namespace

bool is_cfl_header(ByteView bytes) {
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()).starts_with(title);
}

ArrayData parse_cfl(ByteView header, ByteView numbers, const std::string& place) {
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  const Shape dims = dimensions(text, place);
  const uint64_t size = bytes_of(dims, sizeof(c10::complex<float>), place);
  if (numbers.size() != size) {
    throw Error(place, fmt::format("{}: {} of data, but dimensions {} take {}",
                                   numbers.size() < size ? "truncated" : "has trailing bytes",
                                   count_of_bytes(numbers.size()), joined(dims), size));
  }
  Shape shape;
  std::copy_if(dims.rbegin(), dims.rend(), std::back_inserter(shape), [](int64_t n) { return n > 1; });
  ArrayData result;
  result.meta.format = FileFormat::cfl;
  result.meta.extension = ".cfl";
  result.meta.dtype = "complex64";
  result.meta.shape = shape;
  result.meta.header = joined(dims);
  result.values = tensor_from(numbers, at::kComplexFloat, shape);
  return result;
}

ArrayData read_cfl(const std::filesystem::path& path) {
  const auto named = [&](const char* extension) {
    return std::filesystem::path(path).replace_extension(extension);
  };
  return parse_cfl(read_bytes(named(".hdr")), read_bytes(named(".cfl")), path.string());
}

std::string cfl_header(const Tensor& x, const ArrayMeta& meta) {
  Shape dims(x.sizes().rbegin(), x.sizes().rend());
  if (meta.format == FileFormat::cfl && !meta.header.empty()) {
    const Shape own = dimensions(std::string(title) + "\n" + meta.header, "cfl");
    Shape squeezed = dims, of_own = own;
    std::erase(squeezed, 1);
    std::erase(of_own, 1);
    if (squeezed == of_own) dims = own;
  }
  if (dims.size() < most_axes) dims.resize(most_axes, 1);
  return fmt::format("{}\n{}\n", title, joined(dims));
}

}  // namespace tweedie
