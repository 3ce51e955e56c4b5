#pragma once
// NetCDF's classic files (Unidata's format specification: CDF-1, CDF-2 and CDF-5), what climate and ocean
// models and reanalyses are shared as: named variables on named dimensions, big-endian numbers. Files of
// NetCDF-4 are HDF5. Read and written here because libnetcdf brings HDF5 and an HTTP client with it.

#include "io/bytes.h"
#include "tweedie/file_format.h"

namespace tweedie {

bool is_netcdf(ByteView bytes);

// The variable of that name, or, where it is empty, the only one that is no coordinate. Numbers as stored, or
// with scale_factor and add_offset as floats; what is _FillValue or missing_value becomes NaN. Spacing is
// that of the coordinates of the last axes, up to three, as far as it is even and in one unit.
ArrayData parse_netcdf(ByteView bytes, const std::string& variable, const std::string& place);

// One variable, of that name, or where it is empty of that of meta.header, or x; with the dimensions and
// coordinates of meta.header for axes that x has in common with it.
Bytes encode_netcdf(const Tensor& x, const ArrayMeta& meta, const std::string& variable,
                    const std::string& place);

}  // namespace tweedie
