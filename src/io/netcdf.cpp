#include "io/netcdf.h"

#include "core/shape.h"
#include "io/netcdf_header.h"
#include "tweedie/error.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace tweedie {

namespace {

// The variable's numbers one after the other, as they are in the file
Bytes data_of(ByteView bytes, const NetcdfHeader& header, const NetcdfVariable& variable,
              const std::string& place) {
  const Shape shape = header.shape(variable);
  const uint64_t size = bytes_of(shape, variable.type->size, place);
  const auto require = [&](uint64_t begin, uint64_t count) {
    if (begin > bytes.size() || count > bytes.size() - begin) {
      throw Error(place,
                  fmt::format("truncated: {}, but variable {} of shape {} ends beyond",
                              count_of_bytes(bytes.size()), one_line(variable.name), to_string(shape)));
    }
  };
  Bytes result;
  if (size == 0) return result;
  if (!header.in_records(variable)) {
    require(variable.begin, size);
    result.assign(bytes.begin() + static_cast<std::ptrdiff_t>(variable.begin),
                  bytes.begin() + static_cast<std::ptrdiff_t>(variable.begin + size));
    return result;
  }
  const uint64_t part = header.record_bytes_of(variable, place), records = size / part;
  // The last one first: a claim that can't hold allocates nothing.
  require(variable.begin, part);
  if ((records - 1) > (bytes.size() - variable.begin - part) / std::max<uint64_t>(1, header.record_bytes))
    require(bytes.size(), part);
  result.resize(size);
  for (uint64_t record = 0; record < records; ++record) {
    std::memcpy(result.data() + record * part, bytes.data() + variable.begin + record * header.record_bytes,
                part);
  }
  return result;
}

const NetcdfVariable& chosen(const NetcdfHeader& header, const std::string& name, const std::string& place) {
  const NetcdfVariable* result = name.empty() ? nullptr : header.find(name);
  std::vector<std::string> names;
  for (const NetcdfVariable& variable : header.variables) {
    if (variable.type == nullptr || variable.axes.empty() || header.is_coordinate(variable)) continue;
    names.push_back(one_line(variable.name));
    if (name.empty()) result = names.size() == 1 ? &variable : nullptr;
  }
  constexpr size_t most = 20;
  if (names.size() > most) names.resize(most);
  if (result == nullptr && names.empty()) throw Error(place, "holds no variable of numbers");
  if (result == nullptr) {
    throw Error(place, fmt::format("{}; write FILE.nc:NAME with one of {}",
                                   name.empty() ? "holds several variables"
                                                : fmt::format("has no variable '{}'", one_line(name)),
                                   fmt::join(names, ", ")));
  }
  if (result->type == nullptr)
    throw Error(place, fmt::format("variable {} holds text", one_line(result->name)));
  return *result;
}

// The distance of neighbours where that is even, to a thousandth of it
std::optional<double> even_step(const std::vector<double>& values) {
  if (values.size() < 2) return std::nullopt;
  const double step = (values.back() - values.front()) / static_cast<double>(values.size() - 1);
  if (!(std::abs(step) > 0) || !std::isfinite(step)) return std::nullopt;
  for (size_t i = 1; i < values.size(); ++i) {
    if (!(std::abs(values[i] - values[i - 1] - step) <= 1e-3 * std::abs(step))) return std::nullopt;
  }
  return std::abs(step);
}

// Dimensions of the variable, for files that are written like this one; and the spacing
void read_axes(ByteView bytes, const NetcdfHeader& header, const NetcdfVariable& variable, ArrayMeta& meta,
               const std::string& place) {
  constexpr int64_t most = 1 << 16;
  nlohmann::json axes = nlohmann::json::array();
  for (const size_t index : variable.axes) {
    const NetcdfDimension& dimension = header.dimensions[index];
    nlohmann::json axis{{"name", dimension.name}};
    const NetcdfVariable* coordinate = header.coordinate(dimension);
    if (coordinate != nullptr && coordinate->type != nullptr && dimension.size <= most) {
      const std::vector<double> values =
          netcdf_numbers(data_of(bytes, header, *coordinate, place), *coordinate->type);
      if (std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); })) {
        axis["values"] = values;
        axis["units"] = coordinate->text("units");
      }
    }
    axes.push_back(std::move(axis));
  }
  for (size_t i = axes.size(); i > 0 && meta.spacing.size() < 3; --i) {
    const nlohmann::json& axis = axes[i - 1];
    const auto step = axis.contains("values") ? even_step(axis["values"]) : std::nullopt;
    if (!step) break;
    std::string units = axis["units"];
    if (units.starts_with("degree")) units = "degrees";
    if (i < axes.size() && units != meta.spacing_units) break;  // time beside space
    meta.spacing_units = units;
    meta.spacing.insert(meta.spacing.begin(), *step);
  }
  meta.header = nlohmann::json{{"variable", variable.name}, {"axes", axes}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
}

// Where the numbers are one of those that stand for none
std::vector<size_t> missing_in(ByteView data, const NetcdfVariable& variable) {
  std::vector<double> fills;
  for (const char* attribute : {"_FillValue", "missing_value"}) {
    const auto fill = variable.number(attribute);
    if (!fill || std::isnan(*fill)) continue;
    fills.push_back(*fill);
    if (variable.type->name == "float32") fills.push_back(static_cast<double>(static_cast<float>(*fill)));
  }
  std::vector<size_t> result;
  if (fills.empty()) return result;
  const std::vector<double> numbers = netcdf_numbers(data, *variable.type);
  for (size_t i = 0; i < numbers.size(); ++i) {
    if (std::find(fills.begin(), fills.end(), numbers[i]) != fills.end()) result.push_back(i);
  }
  return result;
}

}  // namespace

bool is_netcdf(ByteView bytes) {
  return bytes.size() >= 4 && std::memcmp(bytes.data(), "CDF", 3) == 0 && bytes[3] < ' ';
}

ArrayData parse_netcdf(ByteView bytes, const std::string& name, const std::string& place) {
  const NetcdfHeader header = parse_netcdf_header(bytes, place);
  const NetcdfVariable& variable = chosen(header, name, place);
  const Shape shape = header.shape(variable);
  if (shape.size() > 16) throw Error(place, fmt::format("{} axes, but at most 16 are read", shape.size()));
  const Bytes data = data_of(bytes, header, variable, place);
  ArrayData result;
  ArrayMeta& meta = result.meta;
  meta.format = FileFormat::netcdf;
  meta.dtype = variable.type->name;
  meta.shape = shape;
  meta.units = variable.text("units");
  meta.slope = variable.number("scale_factor").value_or(1);
  meta.intercept = variable.number("add_offset").value_or(0);
  if (!std::isfinite(meta.slope) || meta.slope == 0 || !std::isfinite(meta.intercept))
    throw Error(place,
                fmt::format("scale_factor {} and add_offset {} are no scale", meta.slope, meta.intercept));
  read_axes(bytes, header, variable, meta, place);
  const std::vector<size_t> missing = missing_in(data, variable);
  if (missing.empty() && meta.slope == 1 && meta.intercept == 0) {
    result.values = numbers_from(data, *variable.type, shape, true);
    return result;
  }
  result.values = floats_from(data, *variable.type, shape, true, meta.slope, meta.intercept);
  const bool single = result.values.scalar_type() == at::kFloat;
  for (const size_t i : missing) {
    if (single) {
      static_cast<float*>(result.values.data_ptr())[i] = std::numeric_limits<float>::quiet_NaN();
    } else {
      static_cast<double*>(result.values.data_ptr())[i] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  return result;
}

}  // namespace tweedie
