#include "io/netcdf_header.h"

#include "tweedie/error.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>

namespace tweedie {

namespace {

constexpr uint64_t streaming = 0xFFFFFFFF;  // in place of the number of records: as many as there are

class Cursor {
 public:
  Cursor(ByteView bytes, const std::string& place) : bytes_(bytes), place_(place) {}

  void set_wide(bool offsets, bool counts) {
    wide_offsets_ = offsets;
    wide_counts_ = counts;
  }
  uint64_t whole(size_t size) {
    const ByteView part = take(size);
    uint64_t value = 0;
    for (const uint8_t byte : part) value = value << 8 | byte;
    return value;
  }
  uint32_t word() { return static_cast<uint32_t>(whole(4)); }
  uint64_t count() { return whole(wide_counts_ ? 8 : 4); }
  uint64_t offset() { return whole(wide_offsets_ ? 8 : 4); }
  // How many items follow, each of at least `least` bytes
  uint64_t items(uint64_t least) {
    const uint64_t value = count();
    if (value > left() / least) throw Error(place_, fmt::format("truncated: a list of {} items", value));
    return value;
  }
  ByteView take(uint64_t size) {
    if (size > left()) {
      throw Error(place_, fmt::format("truncated in its header, which takes more than {}",
                                      count_of_bytes(bytes_.size())));
    }
    const ByteView part = bytes_.subspan(at_, static_cast<size_t>(size));
    at_ += static_cast<size_t>(size);
    return part;
  }
  ByteView padded(uint64_t size) {
    const ByteView part = take(size);
    take(std::min<uint64_t>((4 - size % 4) % 4, left()));
    return part;
  }
  std::string name() {
    const ByteView text = padded(items(1));
    return {text.begin(), text.end()};
  }
  uint64_t list(NetcdfTag tag, uint64_t least) {
    const uint32_t found = word();
    const uint64_t count = items(least);
    if (found != static_cast<uint32_t>(tag) && !(found == 0 && count == 0))
      throw Error(place_,
                  fmt::format("damaged: list {} where {} is meant", found, static_cast<uint32_t>(tag)));
    return count;
  }
  const std::string& place() const { return place_; }

 private:
  uint64_t left() const { return bytes_.size() - at_; }

  ByteView bytes_;
  const std::string& place_;
  size_t at_ = 0;
  bool wide_offsets_ = false, wide_counts_ = false;
};

NetcdfAttribute read_attribute(Cursor& cursor) {
  NetcdfAttribute result;
  result.name = cursor.name();
  const std::string type_name = netcdf_type_name(cursor.word(), cursor.place());
  const NumberType* type = find_number_type(type_name);
  const uint64_t size = type == nullptr ? 1 : type->size, count = cursor.items(size);
  const ByteView values = cursor.padded(count * size);
  if (type == nullptr) {
    result.text.assign(values.begin(), values.end());
    result.text = result.text.substr(0, result.text.find('\0'));
    return result;
  }
  result.numbers = netcdf_numbers(values, *type);
  return result;
}

std::vector<NetcdfAttribute> read_attributes(Cursor& cursor) {
  std::vector<NetcdfAttribute> result;
  const uint64_t count = cursor.list(NetcdfTag::attribute, 12);
  for (uint64_t i = 0; i < count; ++i) result.push_back(read_attribute(cursor));
  return result;
}

NetcdfVariable read_variable(Cursor& cursor, const std::vector<NetcdfDimension>& dimensions) {
  NetcdfVariable result{};
  result.name = cursor.name();
  const uint64_t axes = cursor.items(4);
  for (uint64_t i = 0; i < axes; ++i) {
    const uint64_t axis = cursor.count();
    if (axis >= dimensions.size() || (dimensions[axis].record && i > 0)) {
      throw Error(cursor.place(),
                  fmt::format("variable {}: axis {} is of dimension {}, of which there are {}",
                              one_line(result.name), i, axis, dimensions.size()));
    }
    result.axes.push_back(static_cast<size_t>(axis));
  }
  result.attributes = read_attributes(cursor);
  std::string type = netcdf_type_name(cursor.word(), cursor.place());
  // How files without unsigned types say that numbers are unsigned
  if (type.starts_with("int") && type != "int64" && result.text("_Unsigned") == "true") type.insert(0, "u");
  result.type = find_number_type(type);
  cursor.count();  // its size, which follows from the shape, and is wrong in large files
  result.begin = cursor.offset();
  return result;
}

}  // namespace

std::string netcdf_type_name(uint32_t type, const std::string& place) {
  constexpr const char* types[] = {"int8",  "",       "int16",  "int32", "float32", "float64",
                                   "uint8", "uint16", "uint32", "int64", "uint64"};
  if (type < 1 || type > std::size(types))
    throw Error(place, fmt::format("damaged: type {} of 1 to 11", type));
  if (type == 11) throw Error(place, "holds unsigned numbers of 64 bits, which are not read");
  return types[type - 1];
}

std::vector<double> netcdf_numbers(ByteView data, const NumberType& type) {
  std::vector<double> result(data.size() / type.size);
  const bool is_unsigned = type.name[0] == 'u';
  const auto shift = static_cast<int>(64 - 8 * type.size);
  for (size_t i = 0; i < result.size(); ++i) {
    uint64_t bits = 0;
    for (size_t k = 0; k < type.size; ++k) bits = bits << 8 | data[i * type.size + k];
    if (type.name == "float64") {
      result[i] = std::bit_cast<double>(bits);
    } else if (type.name == "float32") {
      result[i] = static_cast<double>(std::bit_cast<float>(static_cast<uint32_t>(bits)));
    } else if (is_unsigned) {
      result[i] = static_cast<double>(bits);
    } else {
      result[i] = static_cast<double>(static_cast<int64_t>(bits << shift) >> shift);
    }
  }
  return result;
}

std::string NetcdfVariable::text(const std::string& attribute) const {
  for (const NetcdfAttribute& each : attributes) {
    if (each.name == attribute) return each.text;
  }
  return "";
}

std::optional<double> NetcdfVariable::number(const std::string& attribute) const {
  for (const NetcdfAttribute& each : attributes) {
    if (each.name == attribute && !each.numbers.empty()) return each.numbers.front();
  }
  return std::nullopt;
}

Shape NetcdfHeader::shape(const NetcdfVariable& variable) const {
  Shape result;
  for (const size_t axis : variable.axes) result.push_back(dimensions[axis].size);
  return result;
}

bool NetcdfHeader::in_records(const NetcdfVariable& variable) const {
  return !variable.axes.empty() && dimensions[variable.axes.front()].record;
}

uint64_t NetcdfHeader::record_bytes_of(const NetcdfVariable& variable, const std::string& place) const {
  Shape one = shape(variable);
  one.erase(one.begin());
  return bytes_of(one, variable.type == nullptr ? 1 : variable.type->size, place);
}

const NetcdfVariable* NetcdfHeader::find(const std::string& name) const {
  for (const NetcdfVariable& variable : variables) {
    if (variable.name == name) return &variable;
  }
  return nullptr;
}

const NetcdfVariable* NetcdfHeader::coordinate(const NetcdfDimension& dimension) const {
  const NetcdfVariable* result = find(dimension.name);
  return result != nullptr && is_coordinate(*result) ? result : nullptr;
}

bool NetcdfHeader::is_coordinate(const NetcdfVariable& variable) const {
  return variable.axes.size() == 1 && dimensions[variable.axes[0]].name == variable.name;
}

NetcdfHeader parse_netcdf_header(ByteView bytes, const std::string& place) {
  Cursor cursor(bytes, place);
  const ByteView magic = cursor.take(4);
  if (std::memcmp(magic.data(), "CDF", 3) != 0)
    throw Error(place, "is no NetCDF file: it does not begin with CDF");
  const uint8_t version = magic[3];
  if (version != 1 && version != 2 && version != 5)
    throw Error(place, fmt::format("version {} of NetCDF, but 1, 2 and 5 are read", version));
  cursor.set_wide(version != 1, version == 5);
  NetcdfHeader result;
  const uint64_t records = cursor.count();
  const uint64_t dimensions = cursor.list(NetcdfTag::dimension, 8);
  size_t record_dimensions = 0;
  for (uint64_t i = 0; i < dimensions; ++i) {
    std::string name = cursor.name();
    const uint64_t size = cursor.count();
    if (size > static_cast<uint64_t>(INT64_MAX / 16)) throw Error(place, "is larger than any memory");
    record_dimensions += size == 0;
    result.dimensions.push_back({std::move(name), static_cast<int64_t>(size), size == 0});
  }
  if (record_dimensions > 1) throw Error(place, "damaged: two dimensions that grow");
  read_attributes(cursor);  // of the file
  const uint64_t variables = cursor.list(NetcdfTag::variable, 24);
  for (uint64_t i = 0; i < variables; ++i)
    result.variables.push_back(read_variable(cursor, result.dimensions));

  std::vector<uint64_t> sizes;
  uint64_t first = bytes.size();
  for (const NetcdfVariable& variable : result.variables) {
    if (!result.in_records(variable)) continue;
    sizes.push_back(result.record_bytes_of(variable, place));
    if (sizes.back() > bytes.size()) throw Error(place, "truncated: a record is larger than the file");
    first = std::min(first, variable.begin);
  }
  for (const uint64_t size : sizes) result.record_bytes += sizes.size() == 1 ? size : (size + 3) / 4 * 4;
  uint64_t count = records;
  const bool unknown = records == streaming && version != 5;
  if (unknown || records == UINT64_MAX)
    count = result.record_bytes > 0 ? (bytes.size() - first) / result.record_bytes : 0;
  if (count > static_cast<uint64_t>(INT64_MAX / 16)) throw Error(place, "is larger than any memory");
  for (NetcdfDimension& dimension : result.dimensions) {
    if (dimension.record) dimension.size = static_cast<int64_t>(count);
  }
  return result;
}

}  // namespace tweedie
