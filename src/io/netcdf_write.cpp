#include "core/shape.h"
#include "io/netcdf.h"
#include "io/netcdf_header.h"
#include "tweedie/error.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <bit>
#include <limits>
#include <map>
#include <set>

namespace tweedie {

namespace {

class Writer {
 public:
  explicit Writer(bool wide) : wide_(wide) {}
  void whole(uint64_t value, size_t size) {
    for (size_t i = size; i-- > 0;) bytes.push_back(static_cast<uint8_t>(value >> (8 * i)));
  }
  void word(uint64_t value) { whole(value, 4); }
  void offset(uint64_t value) { whole(value, wide_ ? 8 : 4); }
  void pad() { bytes.resize((bytes.size() + 3) / 4 * 4); }
  void name(const std::string& text) {
    word(text.size());
    bytes.insert(bytes.end(), text.begin(), text.end());
    pad();
  }
  void list(NetcdfTag tag, size_t count) {
    word(count == 0 ? 0 : static_cast<uint32_t>(tag));
    word(count);
  }
  void text(const std::string& attribute, const std::string& value) {
    name(attribute);
    word(2);
    name(value);
  }
  void real(const std::string& attribute, double value) {
    name(attribute);
    word(6);
    word(1);
    whole(std::bit_cast<uint64_t>(value), 8);
  }
  Bytes bytes;

 private:
  bool wide_;
};

using Texts = std::map<std::string, std::string>;  // attributes

struct Axis {
  std::string name;
  Texts texts;
  std::vector<double> values;  // of its coordinate; may be empty
};

struct Written {
  std::string name;
  Texts texts;
  std::vector<size_t> axes;
  uint32_t type;
  double slope = 1, intercept = 0;
  Bytes numbers;
};

uint32_t type_of(const NumberType& type) {
  for (uint32_t i = 1; i <= 6; ++i) {
    if (netcdf_type_name(i, "") == type.name) return i;
  }
  return 0;
}

// Types that the format lacks are stored as the next larger one.
StoredNumbers numbers_of(const Tensor& x, const ArrayMeta& meta) {
  StoredNumbers result = stored_numbers(x, meta, true);
  if (type_of(*result.type) != 0) return result;
  ArrayMeta other = meta;
  other.dtype = result.type->name == "uint8" ? "int16" : result.type->name == "uint16" ? "int32" : "float64";
  return stored_numbers(x, other, true);
}

// The axes of x: those of the header from the back as long as they are as long, others by number
std::vector<Axis> axes_of(const Tensor& x, const ArrayMeta& meta, std::string& variable) {
  std::vector<Axis> result(static_cast<size_t>(x.dim()));
  std::set<std::string> taken{variable};
  const auto header = nlohmann::json::parse(meta.header, nullptr, /*allow_exceptions=*/false);
  if (meta.format == FileFormat::netcdf && header.contains("variable") && header.contains("axes")) {
    if (variable.empty()) variable = header["variable"];
    taken = {variable};
    const auto& axes = header["axes"];
    for (size_t back = 1; back <= std::min({axes.size(), result.size(), meta.shape.size()}); ++back) {
      if (x.size(-static_cast<int64_t>(back)) != meta.shape[meta.shape.size() - back]) break;
      const auto& from = axes[axes.size() - back];
      Axis& axis = result[result.size() - back];
      const std::string name = from["name"];
      if (!taken.insert(name).second) continue;
      axis.name = name;
      if (from.contains("values")) {
        axis.texts = from["texts"].get<Texts>();
        axis.values = from["values"].get<std::vector<double>>();
      }
    }
  }
  if (variable.empty()) variable = "x";
  taken.insert(variable);
  for (size_t i = 0; i < result.size(); ++i) {
    std::string& name = result[i].name;
    if (!name.empty()) continue;
    name = fmt::format("axis{}", i);
    while (!taken.insert(name).second) name += "_";
  }
  return result;
}

}  // namespace

Bytes encode_netcdf(const Tensor& x, const ArrayMeta& meta, const std::string& variable_name,
                    const std::string& place) {
  const bool fits = std::all_of(x.sizes().begin(), x.sizes().end(), [](int64_t size) {
    return size > 0 && size <= std::numeric_limits<int32_t>::max();
  });
  if (x.is_complex() || !fits || x.dim() < 1 || x.dim() > 16) {
    throw Error(place, fmt::format("{} of shape {}, but a NetCDF variable has 1 to 16 axes of real numbers",
                                   toString(x.scalar_type()), to_string(x.sizes())));
  }
  std::string name = variable_name;
  const std::vector<Axis> axes = axes_of(x, meta, name);
  std::vector<Written> variables;
  for (size_t i = 0; i < axes.size(); ++i) {
    if (axes[i].values.empty()) continue;
    Written coordinate{axes[i].name, axes[i].texts, {i}, 6, 1, 0, {}};
    Writer numbers(false);
    for (const double value : axes[i].values) numbers.whole(std::bit_cast<uint64_t>(value), 8);
    coordinate.numbers = std::move(numbers.bytes);
    variables.push_back(std::move(coordinate));
  }
  StoredNumbers stored = numbers_of(x, meta);
  const Texts units = meta.units.empty() ? Texts() : Texts{{"units", meta.units}};
  Written main{
      name, units, {}, type_of(*stored.type), stored.slope, stored.intercept, std::move(stored.bytes)};
  for (size_t i = 0; i < axes.size(); ++i) main.axes.push_back(i);
  variables.push_back(std::move(main));

  uint64_t total = 0;
  for (const Written& variable : variables) total += variable.numbers.size() + 3;
  const bool wide = total > uint64_t{std::numeric_limits<int32_t>::max()} - (1 << 20);
  const auto header = [&](uint64_t begin) {
    Writer to(wide);
    to.bytes = {'C', 'D', 'F', static_cast<uint8_t>(wide ? 2 : 1)};
    to.word(0);  // records
    to.list(NetcdfTag::dimension, axes.size());
    for (size_t i = 0; i < axes.size(); ++i) {
      to.name(axes[i].name);
      to.word(static_cast<uint64_t>(x.size(static_cast<int64_t>(i))));
    }
    to.list(NetcdfTag::attribute, 0);
    to.list(NetcdfTag::variable, variables.size());
    for (const Written& variable : variables) {
      to.name(variable.name);
      to.word(variable.axes.size());
      for (const size_t axis : variable.axes) to.word(axis);
      const bool scaled = variable.slope != 1 || variable.intercept != 0;
      to.list(NetcdfTag::attribute, variable.texts.size() + (scaled ? 2 : 0));
      for (const auto& [attribute, value] : variable.texts) to.text(attribute, value);
      if (scaled) {
        to.real("scale_factor", variable.slope);
        to.real("add_offset", variable.intercept);
      }
      const uint64_t padded = (variable.numbers.size() + 3) / 4 * 4;
      to.word(variable.type);
      to.word(std::min<uint64_t>(padded, 0xFFFFFFFF));
      to.offset(begin);
      begin += padded;
    }
    return to.bytes;
  };
  Bytes result = header(header(0).size());
  for (const Written& variable : variables) {
    result.insert(result.end(), variable.numbers.begin(), variable.numbers.end());
    result.resize((result.size() + 3) / 4 * 4);
  }
  return result;
}

}  // namespace tweedie
