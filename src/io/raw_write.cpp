#include "io/atomic_file.h"
#include "io/config.h"
#include "io/numbers.h"
#include "io/raw_fields.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <numeric>

namespace tweedie {

RawFile encode_raw(const Tensor& x, const ArrayMeta& meta) {
  RawSidecar sidecar;
  if (meta.format == FileFormat::raw && meta.header.size() >= 3) {
    sidecar.order = meta.header[0] == '1' ? AxisOrder::fortran : AxisOrder::c;
    sidecar.endianness = meta.header[2] == '1' ? ByteOrder::big : ByteOrder::little;
  }
  Tensor in_file = x;
  if (sidecar.order == AxisOrder::fortran) {
    Shape axes(static_cast<size_t>(x.dim()));
    std::iota(axes.rbegin(), axes.rend(), 0);
    in_file = x.permute(axes).contiguous();
  }
  StoredNumbers numbers = stored_numbers(in_file, meta, sidecar.endianness == ByteOrder::big);
  constexpr auto types = names(RawType{});
  sidecar.dtype =
      static_cast<RawType>(std::find(types.begin(), types.end(), numbers.type->name) - types.begin());
  sidecar.shape = x.sizes().vec();
  sidecar.slope = numbers.slope;
  sidecar.intercept = numbers.intercept;
  sidecar.units = meta.units;
  if (on_grid_of(meta, x.sizes())) {
    sidecar.spacing = meta.spacing;
    sidecar.spacing_units = meta.spacing_units;
  }
  return {write_fields(sidecar), std::move(numbers.bytes)};
}

void write_raw(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta) {
  const RawFile file = encode_raw(x, meta);
  write_atomically(path, ByteView(file.numbers));
  write_atomically(sidecar_of(path), file.sidecar);
}

}  // namespace tweedie
