#include "io/npy.h"

#include "core/shape.h"
#include "io/npy_types.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <numeric>
#include <optional>
#include <string_view>

namespace tweedie {

namespace {

constexpr size_t max_axes = 32;

struct Header {
  std::string type;
  bool fortran = false;
  Shape shape;
};

// The part of Python's literals that a header is made of.
class HeaderParser {
 public:
  HeaderParser(std::string_view text, const std::string& place) : text_(text), place_(place) {}

  Header parse() {
    std::optional<std::string> type;
    std::optional<bool> fortran;
    std::optional<Shape> shape;
    expect('{');
    while (!take('}')) {
      const std::string key = string();
      expect(':');
      if (key == "descr" && !type) {
        if (peek() == '[') fail("structured dtypes are not read; an array of numbers is meant");
        type = string();
      } else if (key == "fortran_order" && !fortran) {
        fortran = boolean();
      } else if (key == "shape" && !shape) {
        shape = tuple();
      } else {
        fail(fmt::format("unexpected or repeated key '{}'; descr, fortran_order and shape are meant", key));
      }
      if (!take(',') && peek() != '}') fail("a comma or } is missing");
    }
    skip_space();
    if (at_ != text_.size()) fail("something follows the closing }");
    if (!type || !fortran || !shape) fail("descr, fortran_order and shape are needed");
    return {*type, *fortran, *shape};
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    throw Error(place_, fmt::format("malformed NPY header at its character {}: {}", at_ + 1, what));
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t')) ++at_;
  }

  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail(fmt::format("'{}' is missing", c));
  }

  std::string string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail("a quoted string is missing");
    const size_t end = text_.find(quote, at_ + 1);
    if (end == std::string_view::npos) fail("a quoted string does not end");
    const std::string_view body = text_.substr(at_ + 1, end - at_ - 1);
    const bool printable = std::all_of(body.begin(), body.end(), [](char c) { return c >= ' ' && c <= '~'; });
    if (body.size() > 32 || !printable) fail("a short string in ASCII is meant");
    at_ = end + 1;
    return std::string(body);
  }

  bool boolean() {
    skip_space();
    for (const bool value : {true, false}) {
      const std::string_view word = value ? "True" : "False";
      if (text_.substr(at_, word.size()) != word) continue;
      at_ += word.size();
      return value;
    }
    fail("True or False is missing");
  }

  Shape tuple() {
    Shape shape;
    expect('(');
    while (!take(')')) {
      skip_space();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail("a size is not a whole number from 0 to 2^63 - 1");
      at_ = static_cast<size_t>(end - text_.data());
      shape.push_back(size);
      if (shape.size() > max_axes) fail(fmt::format("more than {} axes", max_axes));
      if (!take(',') && peek() != ')') fail("a comma or ) is missing");
    }
    return shape;
  }

  std::string_view text_;
  const std::string& place_;
  size_t at_ = 0;
};

const NpyType& find_type(const std::string& description, const std::string& place) {
  const bool order_known =
      !description.empty() && std::string_view("<>|=").find(description[0]) != std::string_view::npos;
  for (const NpyType& type : npy_types) {
    const bool one_byte = c10::elementSize(type.stored) == 1;
    if (order_known && type.name == description.substr(1) && (one_byte || description[0] != '|')) return type;
  }
  throw Error(place, fmt::format("dtype '{}' is not read; f4, f8, i1, i2, i4, i8, u1, u2, u4, b1, c8 and c16 "
                                 "are, with < or > for the byte order",
                                 description));
}

// n of NumPy's byte strings '|Sn'
std::optional<int64_t> length_of_text(std::string_view type) {
  int64_t n = 0;
  if (!type.starts_with("|S")) return std::nullopt;
  const auto [end, error] = std::from_chars(type.data() + 2, type.data() + type.size(), n);
  if (error != std::errc() || end != type.data() + type.size() || n < 1 || n > 1024) return std::nullopt;
  return n;
}

}  // namespace

std::optional<uint64_t> npy_length(ByteView bytes, const std::string& place) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, npy_magic.size()) != npy_magic.substr(0, std::min(npy_magic.size(), text.size()))) {
    throw Error(place,
                fmt::format("gives '{}' where an array in NPY was expected, which starts with \\x93NUMPY",
                            one_line(text.substr(0, 60))));
  }
  if (bytes.size() < 12) return std::nullopt;
  const size_t prefix = bytes[6] == 1 ? 10 : 12;
  constexpr uint64_t longest = 1 << 16;
  uint64_t length = 0;
  for (size_t i = prefix; i-- > 8;) length = length << 8 | bytes[i];
  if (length > longest) throw Error(place, fmt::format("gives an NPY header of {} bytes", length));
  if (bytes.size() < prefix + length) return std::nullopt;
  const Header header = HeaderParser(text.substr(prefix, length), place).parse();
  const NpyType& type = find_type(header.type, place);
  return prefix + length + bytes_of(header.shape, c10::elementSize(type.stored), place);
}

Tensor parse_npy(ByteView bytes, const std::string& place) {
  const auto need = [&](uint64_t count) {
    if (bytes.size() < count) {
      throw Error(place, fmt::format("truncated NPY header: {}, but at least {} are needed",
                                     count_of_bytes(bytes.size()), count));
    }
  };
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.substr(0, npy_magic.size()) != npy_magic.substr(0, std::min(npy_magic.size(), text.size()))) {
    throw Error(place, "is no NPY file: it does not start with \\x93NUMPY");
  }
  need(npy_magic.size() + 2);
  const int version = bytes[6];
  if (version < 1 || version > 3 || bytes[7] != 0) {
    throw Error(place, fmt::format("NPY version {}.{} is not read; 1.0, 2.0 and 3.0 are", version, bytes[7]));
  }
  const size_t prefix = version == 1 ? 10 : 12;
  need(prefix);
  uint64_t length = 0;
  for (size_t i = prefix; i-- > 8;) length = length << 8 | bytes[i];
  need(prefix + length);

  Header header = HeaderParser(text.substr(prefix, length), place).parse();
  if (const auto letters = length_of_text(header.type); letters && !header.fortran) {
    header.type = "|u1";
    header.shape.push_back(*letters);
  }
  const NpyType& type = find_type(header.type, place);
  const uint64_t size = bytes_of(header.shape, c10::elementSize(type.stored), place);
  const ByteView data = bytes.subspan(prefix + length);
  if (data.size() != size) {
    throw Error(place, fmt::format("{}: {} of data, but shape {} of {} takes {}",
                                   data.size() < size ? "truncated" : "has trailing bytes",
                                   count_of_bytes(data.size()), to_string(header.shape), header.type, size));
  }

  Shape stored = header.shape;
  if (header.fortran) std::reverse(stored.begin(), stored.end());
  Tensor result = tensor_from(data, type.stored, stored, header.type[0] == '>');
  if (header.fortran) {
    Shape axes(stored.size());
    std::iota(axes.rbegin(), axes.rend(), 0);
    result = transposed(result, axes);
  }
  if (type.result == at::kBool) return converted<bool, uint8_t>(result, at::kBool);
  if (type.name == "u2") return converted<int32_t, uint16_t>(result, at::kInt);
  if (type.name == "u4") return converted<int64_t, uint32_t>(result, at::kLong);
  return result;
}

}  // namespace tweedie
