#pragma once
// The header of a classic NetCDF file.

#include "io/bytes.h"
#include "io/numbers.h"

#include <optional>

namespace tweedie {

enum class NetcdfTag : uint32_t { absent = 0, dimension = 10, variable = 11, attribute = 12 };

struct NetcdfAttribute {
  std::string name, text;       // text where it is of characters
  std::vector<double> numbers;  // otherwise
};

struct NetcdfDimension {
  std::string name;
  int64_t size;
  bool record;  // the one that grows: its variables are stored record by record
};

struct NetcdfVariable {
  std::string name;
  std::vector<size_t> axes;  // indices of dimensions
  std::vector<NetcdfAttribute> attributes;
  const NumberType* type;  // null: characters
  uint64_t begin;
  std::string text(const std::string& attribute) const;
  std::optional<double> number(const std::string& attribute) const;
};

struct NetcdfHeader {
  std::vector<NetcdfDimension> dimensions;
  std::vector<NetcdfVariable> variables;
  uint64_t record_bytes = 0;  // from one record to the next

  Shape shape(const NetcdfVariable& variable) const;
  bool in_records(const NetcdfVariable& variable) const;
  uint64_t record_bytes_of(const NetcdfVariable& variable, const std::string& place) const;  // of one record
  const NetcdfVariable* find(const std::string& name) const;
  // The variable of one axis that has its name
  const NetcdfVariable* coordinate(const NetcdfDimension& dimension) const;
  bool is_coordinate(const NetcdfVariable& variable) const;
};

// NumPy's name of a type of the format, 1 .. 11; "" for characters
std::string netcdf_type_name(uint32_t type, const std::string& place);

// Big-endian numbers of such a type
std::vector<double> netcdf_numbers(ByteView data, const NumberType& type);

NetcdfHeader parse_netcdf_header(ByteView bytes, const std::string& place);

}  // namespace tweedie
