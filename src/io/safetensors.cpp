#include "io/safetensors.h"

#include "core/shape.h"
#include "io/safetensors_header.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <set>
#include <string_view>
#include <utility>

namespace tweedie {

namespace {

using nlohmann::json;

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
  const auto type =
      std::find_if(std::begin(safetensors_types), std::end(safetensors_types),
                   [&](const auto& known) { return known.first == dtype->get_ref<const std::string&>(); });
  if (type == std::end(safetensors_types)) {
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

}  // namespace

StoredTensors scan_safetensors(ByteView bytes, const std::string& place, bool require_checksum) {
  if (bytes.size() < 8)
    throw Error(place,
                fmt::format("truncated: {}, but safetensors have at least 8", count_of_bytes(bytes.size())));
  uint64_t length = 0;
  for (size_t i = 8; i-- > 0;) length = length << 8 | bytes[i];
  if (length > max_safetensors_header)
    throw Error(place, fmt::format("is no safetensors file: a header of {} bytes", length));
  if (length > bytes.size() - 8) {
    throw Error(place, fmt::format("truncated: {}, but the header alone takes {}",
                                   count_of_bytes(bytes.size()), length + 8));
  }
  const ByteView data = bytes.subspan(8 + length);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  const json header = parse_header(text, place);

  StoredTensors result;
  const auto metadata = header.find(metadata_key);
  if (metadata != header.end()) result.metadata = parse_metadata(*metadata, place);
  const std::vector<Entry> entries = parse_entries(header, data.size(), place);
  const auto checksum = result.metadata.find(checksum_key);
  if (checksum != result.metadata.end()) {
    if (checksum->second != hex(crc32_of(data, header_crc(header)))) {
      throw Error(place, "its checksum is wrong: the file was damaged or changed");
    }
    result.metadata.erase(checksum);
    result.checksummed = true;
  }
  if (require_checksum) tweedie::require_checksum(result, place);
  for (const Entry& entry : entries) {
    result.arrays.push_back(
        {entry.name, entry.type, entry.shape, data.subspan(entry.begin, entry.end - entry.begin)});
  }
  return result;
}

SafeTensors parse_safetensors(ByteView bytes, const std::string& place, bool require_checksum) {
  StoredTensors stored = scan_safetensors(bytes, place, require_checksum);
  SafeTensors result;
  result.metadata = std::move(stored.metadata);
  for (const StoredArray& array : stored.arrays) {
    const bool flag = array.type == at::kBool;
    const Tensor tensor = tensor_from(array.data, flag ? at::kByte : array.type, array.shape);
    result.tensors[array.name] = flag ? converted<bool, uint8_t>(tensor, at::kBool) : tensor;
  }
  return result;
}

void require_checksum(const StoredTensors& file, const std::string& place) {
  if (!file.checksummed) throw Error(place, "has no checksum; a file that tweedie wrote is meant");
}

void require_finite(const StoredTensors& file, const std::string& place) {
  for (const StoredArray& array : file.arrays)
    require_finite(array.data.data(), array.type, array.shape, place + ":" + one_line(array.name));
}

SafeTensors read_safetensors(const std::filesystem::path& path, bool require_checksum) {
  SafeTensors result = parse_safetensors(read_bytes(path), path.string(), require_checksum);
  for (const auto& [name, tensor] : result.tensors) {
    require_finite(tensor.data_ptr(), tensor.scalar_type(), tensor.sizes(),
                   path.string() + ":" + one_line(name));
  }
  return result;
}

}  // namespace tweedie
