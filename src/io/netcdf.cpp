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
#include <type_traits>

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

struct Scale {
  double slope, intercept;
};
Scale scale_of(const NetcdfVariable& variable, const std::string& place) {
  const Scale scale{variable.number("scale_factor").value_or(1), variable.number("add_offset").value_or(0)};
  if (!std::isfinite(scale.slope) || scale.slope == 0 || !std::isfinite(scale.intercept)) {
    throw Error(place,
                fmt::format("scale_factor {} and add_offset {} are no scale", scale.slope, scale.intercept));
  }
  return scale;
}

// The numbers of a variable that stand for none
class Missing {
 public:
  explicit Missing(const NetcdfVariable& variable) : type_(*variable.type) {
    for (const char* attribute : {"_FillValue", "missing_value"}) {
      auto fill = variable.number(attribute);
      if (!fill || std::isnan(*fill)) continue;
      // Attributes of unsigned numbers are stored as signed ones where the format has no others.
      if (type_.name[0] == 'u' && *fill < 0) *fill += std::ldexp(1.0, static_cast<int>(8 * type_.size));
      fills_.push_back(*fill);
      if (type_.name == "float32") fills_.push_back(static_cast<double>(static_cast<float>(*fill)));
    }
  }

  // found(index) for each, from first to last
  template <class Found>
  void for_each(ByteView data, Found found) const {
    if (fills_.empty()) return;
    const size_t most = 4096 * type_.size;
    for (size_t at = 0; at < data.size(); at += most) {
      const std::vector<double> numbers =
          netcdf_numbers(data.subspan(at, std::min(most, data.size() - at)), type_);
      for (size_t i = 0; i < numbers.size(); ++i) {
        if (std::find(fills_.begin(), fills_.end(), numbers[i]) != fills_.end()) found(at / type_.size + i);
      }
    }
  }
  size_t count(ByteView data) const {
    size_t result = 0;
    for_each(data, [&](size_t) { ++result; });
    return result;
  }

 private:
  const NumberType& type_;
  std::vector<double> fills_;
};

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
      const Bytes data = data_of(bytes, header, *coordinate, place);
      std::vector<double> values = netcdf_numbers(data, *coordinate->type);
      const auto [slope, intercept] = scale_of(*coordinate, place);
      for (double& value : values) value = slope * value + intercept;
      const bool finite =
          std::all_of(values.begin(), values.end(), [](double v) { return std::isfinite(v); });
      if (finite && Missing(*coordinate).count(data) == 0) {
        axis["values"] = values;
        axis["texts"] = nlohmann::json::object();
        for (const NetcdfAttribute& each : coordinate->attributes) {
          if (!each.text.empty() && each.name != "_Unsigned") axis["texts"][each.name] = each.text;
        }
      }
    }
    axes.push_back(std::move(axis));
  }
  for (size_t i = axes.size(); i > 0 && meta.spacing.size() < 3; --i) {
    const nlohmann::json& axis = axes[i - 1];
    const auto step = axis.contains("values") ? even_step(axis["values"]) : std::nullopt;
    if (!step) break;
    std::string units = axis["texts"].value("units", "");
    if (units.starts_with("degree")) units = "degrees";
    if (i < axes.size() && units != meta.spacing_units) break;  // time beside space
    meta.spacing_units = units;
    meta.spacing.insert(meta.spacing.begin(), *step);
  }
  meta.header = nlohmann::json{{"variable", variable.name}, {"axes", axes}}.dump(
      -1, ' ', false, nlohmann::json::error_handler_t::replace);
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
  const auto [slope, intercept] = scale_of(variable, place);
  meta.slope = slope;
  meta.intercept = intercept;
  read_axes(bytes, header, variable, meta, place);
  const Missing missing(variable);
  if (missing.count(data) == 0 && slope == 1 && intercept == 0) {
    result.values = numbers_from(data, *variable.type, shape, true);
    return result;
  }
  result.values = floats_from(data, *variable.type, shape, true, slope, intercept);
  const auto set_nan = [&](auto* values) {
    using Value = std::remove_pointer_t<decltype(values)>;
    missing.for_each(data, [&](size_t i) { values[i] = std::numeric_limits<Value>::quiet_NaN(); });
  };
  if (result.values.scalar_type() == at::kFloat) {
    set_nan(static_cast<float*>(result.values.data_ptr()));
  } else {
    set_nan(static_cast<double*>(result.values.data_ptr()));
  }
  return result;
}

}  // namespace tweedie
