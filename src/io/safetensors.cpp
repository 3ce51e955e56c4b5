#include "io/safetensors.h"

#include "core/shape.h"
#include "io/atomic_file.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace tweedie {

namespace {

using nlohmann::json;

constexpr uint64_t max_header = 100'000'000;  // the format's own bound
constexpr const char* metadata_key = "__metadata__";
constexpr const char* checksum_key = "tweedie.crc32";

constexpr std::pair<std::string_view, at::ScalarType> types[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf},  {"BF16", at::kBFloat16},
    {"I64", at::kLong},   {"I32", at::kInt},   {"I16", at::kShort}, {"I8", at::kChar},
    {"U8", at::kByte},    {"BOOL", at::kBool},
};

// What the checksum covers of a header: its meaning, not its spelling.
uint32_t header_crc(json header) {
  if (header.contains(metadata_key)) header[metadata_key].erase(checksum_key);
  return crc32_of(view_of(header.dump()));
}

std::string hex(uint32_t crc) {
  return fmt::format("{:08x}", crc);
}

// JSON itself lets a later key replace an earlier one of the same name in silence.
json parse_header(std::string_view text, const std::string& place) {
  // The parser would take a zero byte for the end of the text.
  const bool text_only = text.find('\0') == std::string_view::npos;
  if (!text_only || !text.starts_with('{'))
    throw Error(place, "malformed safetensors header: a JSON object is meant");
  std::vector<std::set<std::string>> seen;
  const auto watch = [&](int, json::parse_event_t event, json& value) {
    if (event == json::parse_event_t::object_start) seen.emplace_back();
    if (event == json::parse_event_t::object_end) seen.pop_back();
    if (event == json::parse_event_t::key && !seen.back().insert(value.get<std::string>()).second) {
      throw Error(place, fmt::format("malformed safetensors header: '{}' is there twice",
                                     one_line(value.get<std::string>())));
    }
    return true;
  };
  try {
    return json::parse(text, watch);
  } catch (const json::exception&) {
    throw Error(place, "malformed safetensors header: it is no JSON");
  }
}

struct Entry {
  std::string name;
  at::ScalarType type;
  Shape shape;
  uint64_t begin, end;  // bytes, from the start of the data
};

// A list of whole numbers from 0 to 2^63 - 1, or nothing.
std::optional<Shape> whole_numbers(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || !found->is_array()) return {};
  Shape result;
  for (const json& number : *found) {
    if (!number.is_number_unsigned() || number.get<uint64_t>() > INT64_MAX) return {};
    result.push_back(static_cast<int64_t>(number.get<uint64_t>()));
  }
  return result;
}

Entry parse_entry(const std::string& name, const json& value, const std::string& place) {
  if (!value.is_object() || value.size() != 3) {
    throw Error(place, "a JSON object with dtype, shape and data_offsets, and nothing else, is meant");
  }
  const auto dtype = value.find("dtype");
  if (dtype == value.end() || !dtype->is_string()) throw Error(place, "dtype is missing");
  const auto type = std::find_if(std::begin(types), std::end(types), [&](const auto& known) {
    return known.first == dtype->get_ref<const std::string&>();
  });
  if (type == std::end(types)) {
    throw Error(place,
                fmt::format("dtype {} is not read; F64, F32, F16, BF16, I64, I32, I16, I8, U8 and BOOL are",
                            one_line(dtype->dump())));
  }
  const auto shape = whole_numbers(value, "shape");
  const auto offsets = whole_numbers(value, "data_offsets");
  if (!shape || shape->size() > 32) throw Error(place, "shape is no list of at most 32 sizes");
  if (!offsets || offsets->size() != 2) throw Error(place, "data_offsets is no pair of whole numbers");
  const Entry entry{name, type->second, *shape, static_cast<uint64_t>((*offsets)[0]),
                    static_cast<uint64_t>((*offsets)[1])};
  const uint64_t size = bytes_of(entry.shape, c10::elementSize(entry.type), place);
  if (entry.end < entry.begin || entry.end - entry.begin != size) {
    throw Error(place, fmt::format("data_offsets {} to {}, but shape {} of {} takes {}", entry.begin,
                                   entry.end, to_string(entry.shape), type->first, count_of_bytes(size)));
  }
  return entry;
}

std::map<std::string, std::string> parse_metadata(const json& value, const std::string& place) {
  if (!value.is_object()) throw Error(place, "__metadata__ is no JSON object");
  std::map<std::string, std::string> result;
  for (const auto& [key, text] : value.items()) {
    if (!text.is_string()) throw Error(place, fmt::format("__metadata__: '{}' is no string", one_line(key)));
    result[key] = text.get<std::string>();
  }
  return result;
}

// In the order of the file; the data must be covered without holes or overlaps.
std::vector<Entry> parse_entries(const json& header, uint64_t data_size, const std::string& place) {
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name != metadata_key) entries.push_back(parse_entry(name, value, place + ":" + one_line(name)));
  }
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t end = 0;
  for (const Entry& entry : entries) {
    if (entry.begin != end) {
      throw Error(
          place + ":" + one_line(entry.name),
          fmt::format("its data start at byte {}, but {} is meant: there must be neither holes nor overlaps",
                      entry.begin, end));
    }
    end = entry.end;
  }
  if (end != data_size) {
    throw Error(place, fmt::format("{}: {} of data, but the header describes {}",
                                   data_size < end ? "truncated" : "has trailing bytes",
                                   count_of_bytes(data_size), end));
  }
  return entries;
}

struct Layout {
  Bytes header;  // with the length before it
  std::vector<Tensor> data;
};

Layout lay_out(const SafeTensors& content, const std::string& place) {
  std::vector<std::pair<std::string, Tensor>> tensors;
  for (const auto& [name, tensor] : content.tensors) {
    if (name == metadata_key || !tensor.defined())
      throw Error(place + ":" + one_line(name), "can't be written");
    tensors.emplace_back(name, plain(tensor));
  }
  // Large items first, so that each tensor is aligned.
  std::stable_sort(tensors.begin(), tensors.end(), [](const auto& a, const auto& b) {
    return a.second.element_size() > b.second.element_size();
  });
  json header = json::object();
  header[metadata_key] = content.metadata;
  Layout result;
  uint64_t offset = 0;
  for (const auto& named : tensors) {
    const auto& [name, tensor] = named;
    const auto type =
        std::find_if(std::begin(types), std::end(types),
                     [kind = tensor.scalar_type()](const auto& known) { return known.second == kind; });
    if (type == std::end(types)) {
      throw Error(place + ":" + one_line(name),
                  fmt::format("dtype {} can't be written", toString(tensor.scalar_type())));
    }
    const uint64_t end = offset + tensor.nbytes();
    header[name] = {{"dtype", type->first}, {"shape", tensor.sizes().vec()}, {"data_offsets", {offset, end}}};
    offset = end;
    result.data.push_back(tensor);
  }
  std::string text;
  try {
    uint32_t crc = header_crc(header);
    for (const Tensor& tensor : result.data) crc = crc32_of(view_of(tensor), crc);
    header[metadata_key][checksum_key] = hex(crc);
    text = header.dump();
  } catch (const json::exception&) {
    throw Error(place, "a name or the metadata is no UTF-8");
  }
  text.append((8 - text.size() % 8) % 8, ' ');
  if (text.size() > max_header) throw Error(place, "the header would be over 100 MB");
  for (int shift = 0; shift < 64; shift += 8)
    result.header.push_back(static_cast<uint8_t>(uint64_t{text.size()} >> shift));
  result.header.insert(result.header.end(), text.begin(), text.end());
  return result;
}

}  // namespace

SafeTensors parse_safetensors(ByteView bytes, const std::string& place, bool require_checksum) {
  if (bytes.size() < 8)
    throw Error(place,
                fmt::format("truncated: {}, but safetensors have at least 8", count_of_bytes(bytes.size())));
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | bytes[i];
  if (length > max_header)
    throw Error(place, fmt::format("is no safetensors file: a header of {} bytes", length));
  if (length > bytes.size() - 8) {
    throw Error(place, fmt::format("truncated: {}, but the header alone takes {}",
                                   count_of_bytes(bytes.size()), length + 8));
  }
  const ByteView data = bytes.subspan(8 + length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  const json header = parse_header(text, place);

  SafeTensors result;
  const auto metadata = header.find(metadata_key);
  if (metadata != header.end()) result.metadata = parse_metadata(*metadata, place);
  const std::vector<Entry> entries = parse_entries(header, data.size(), place);
  const auto checksum = result.metadata.find(checksum_key);
  if (checksum != result.metadata.end()) {
    if (checksum->second != hex(crc32_of(data, header_crc(header)))) {
      throw Error(place, "its checksum is wrong: the file was damaged or changed");
    }
    result.metadata.erase(checksum);
  } else if (require_checksum) {
    throw Error(place, "has no checksum; a file that tweedie wrote is meant");
  }
  for (const Entry& entry : entries) {
    const ByteView part = data.subspan(entry.begin, entry.end - entry.begin);
    const bool flag = entry.type == at::kBool;
    const Tensor stored = tensor_from(part, flag ? at::kByte : entry.type, entry.shape);
    result.tensors[entry.name] = flag ? stored.ne(0) : stored;
  }
  return result;
}

SafeTensors read_safetensors(const std::filesystem::path& path, bool require_checksum) {
  SafeTensors result = parse_safetensors(read_bytes(path), path.string(), require_checksum);
  for (const auto& [name, tensor] : result.tensors)
    require_finite(tensor, path.string() + ":" + one_line(name));
  return result;
}

Bytes serialize_safetensors(const SafeTensors& content) {
  const Layout layout = lay_out(content, "safetensors");
  Bytes result = layout.header;
  for (const Tensor& tensor : layout.data) {
    const ByteView data = view_of(tensor);
    result.insert(result.end(), data.begin(), data.end());
  }
  return result;
}

void write_safetensors(const std::filesystem::path& path, const SafeTensors& content) {
  const Layout layout = lay_out(content, path.string());
  AtomicFile file(path);
  file.write(layout.header);
  for (const Tensor& tensor : layout.data) file.write(view_of(tensor));
  file.commit();
}

}  // namespace tweedie
