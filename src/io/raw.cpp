#include "io/raw.h"

#include "core/shape.h"
#include "io/config.h"
#include "io/numbers.h"
#include "io/raw_fields.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {

namespace {

std::string name_of(RawType type) {
  return names(RawType{}).at(static_cast<size_t>(type));
}

}  // namespace

std::filesystem::path sidecar_of(const std::filesystem::path& path) {
  return path.string() + ".toml";
}

RawSidecar parse_sidecar(std::string_view text, const std::string& place) {
  RawSidecar sidecar = Config::parse(text, place).as<RawSidecar>();
  if (!std::isfinite(sidecar.slope) || !std::isfinite(sidecar.intercept) || sidecar.slope == 0)
    throw Error(place,
                fmt::format("slope {} and intercept {}, but finite numbers, the slope not 0, are meant",
                            sidecar.slope, sidecar.intercept));
  const bool spaced =
      std::all_of(sidecar.spacing.begin(), sidecar.spacing.end(), [](double s) { return std::isfinite(s); });
  if (sidecar.spacing.size() > sidecar.shape.size() || !spaced)
    throw Error(place, fmt::format("{} spacings for {} axes; a finite one for each of the last axes is meant",
                                   sidecar.spacing.size(), sidecar.shape.size()));
  if (sidecar.shape.size() > 32) throw Error(place, "more than 32 axes");
  return sidecar;
}

ArrayData parse_raw(ByteView numbers, const RawSidecar& sidecar, const std::string& place) {
  const NumberType& type = *find_number_type(name_of(sidecar.dtype));
  const uint64_t size = bytes_of(sidecar.shape, type.size, place),
                 offset = static_cast<uint64_t>(sidecar.offset);
  if (numbers.size() < offset || numbers.size() - offset != size) {
    throw Error(place, fmt::format("{}, but an offset of {} and shape {} of {} take {}",
                                   count_of_bytes(numbers.size()), offset, to_string(sidecar.shape),
                                   type.name, count_of_bytes(size + offset)));
  }
  ArrayData result;
  ArrayMeta& meta = result.meta;
  meta.format = FileFormat::raw;
  meta.dtype = type.name;
  meta.slope = sidecar.slope;
  meta.intercept = sidecar.intercept;
  meta.units = sidecar.units;
  meta.spacing = sidecar.spacing;
  meta.spacing_units = sidecar.spacing_units;
  meta.shape = sidecar.shape;
  meta.header = fmt::format("{} {}", static_cast<int>(sidecar.order), static_cast<int>(sidecar.endianness));
  const bool big = sidecar.endianness == ByteOrder::big, fortran = sidecar.order == AxisOrder::fortran;
  Shape stored = sidecar.shape;
  if (fortran) std::reverse(stored.begin(), stored.end());
  const ByteView data = numbers.subspan(offset);
  const bool plain = meta.slope == 1 && meta.intercept == 0;
  Tensor x = plain ? numbers_from(data, type, stored, big)
                   : floats_from(data, type, stored, big, meta.slope, meta.intercept);
  if (fortran) {
    Shape axes(stored.size());
    std::iota(axes.rbegin(), axes.rend(), 0);
    x = transposed(x, axes);
  }
  result.values = x;
  return result;
}

ArrayData read_raw(const std::filesystem::path& path) {
  const std::filesystem::path sidecar = sidecar_of(path);
  const Bytes text = read_bytes(sidecar);
  const std::string_view view(reinterpret_cast<const char*>(text.data()), text.size());
  return parse_raw(read_bytes(path), parse_sidecar(view, sidecar.string()), path.string());
}

}  // namespace tweedie
