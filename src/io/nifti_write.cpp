#include "core/shape.h"
#include "io/nifti.h"
#include "io/nifti_header.h"
#include "io/numbers.h"

#include <fmt/format.h>
#include <zlib.h>

#include <memory>

namespace tweedie {

namespace {

// Header and extensions of a new NIfTI-1 file, with the geometry of another format's.
Bytes new_header(const ArrayMeta& meta) {
  Bytes header(352);
  nifti_write<int32_t>(header, 0, nifti1.size, false);
  std::memcpy(header.data() + nifti1.magic, "n+1", 4);
  for (size_t i = 0; i < 8; ++i) nifti_write<float>(header, nifti1.pixdim + 4 * i, 1, false);
  const size_t axes = std::min<size_t>(3, meta.spacing.size());
  for (size_t i = 0; i < axes; ++i) {
    const double size = meta.spacing[meta.spacing.size() - 1 - i];
    if (size > 0) nifti_write(header, nifti1.pixdim + 4 * (i + 1), static_cast<float>(size), false);
  }
  if (meta.affine.size() == 12) {
    nifti_write<int16_t>(header, nifti1.qform_code + 2, 1, false);
    for (size_t i = 0; i < 12; ++i)
      nifti_write(header, nifti1.srow + 4 * i, static_cast<float>(meta.affine[i]), false);
  }
  header[nifti1.xyzt_units] = meta.spacing_units == "m" ? 1 : meta.spacing_units == "um" ? 3 : 2;
  return header;
}

void set_size(Bytes& header, const NiftiLayout& layout, size_t axis, int64_t size, bool big_endian) {
  const size_t place = layout.dim + axis * layout.dim_size;
  if (layout.version == 1)
    nifti_write(header, place, static_cast<int16_t>(size), big_endian);
  else
    nifti_write(header, place, size, big_endian);
}

void set_real(Bytes& header, const NiftiLayout& layout, size_t place, double value, bool big_endian) {
  if (layout.version == 1)
    nifti_write(header, place, static_cast<float>(value), big_endian);
  else
    nifti_write(header, place, value, big_endian);
}

// What no longer holds on another grid
void forget_geometry(Bytes& header, const NiftiLayout& layout, bool big_endian) {
  for (size_t i = 1; i < 4; ++i)
    set_real(header, layout, layout.pixdim + i * layout.pixdim_size, 1, big_endian);
  for (size_t i = 0; i < 2; ++i) {
    for (size_t byte = 0; byte < layout.code_size; ++byte)
      header[layout.qform_code + i * layout.code_size + byte] = 0;
  }
}

}  // namespace

Bytes encode_nifti(const Tensor& x, const ArrayMeta& meta, const std::string& place) {
  const bool kept = meta.format == FileFormat::nifti && meta.header.size() >= 352;
  Bytes result = kept ? Bytes(meta.header.begin(), meta.header.end()) : new_header(meta);
  const bool first = nifti_read<int32_t>(result, 0, false) == nifti1.size ||
                     nifti_read<int32_t>(result, 0, true) == nifti1.size;
  const NiftiLayout& layout = first ? nifti1 : nifti2;
  const bool big_endian = nifti_read<int32_t>(result, 0, true) == layout.size;
  const int64_t most = first ? INT16_MAX : INT64_MAX;
  const bool fits =
      std::all_of(x.sizes().begin(), x.sizes().end(), [&](int64_t n) { return n >= 1 && n <= most; });
  if (x.dim() < 1 || x.dim() > 7 || !fits) {
    throw Error(place, fmt::format("shape {}, but a NIfTI-{} file has 1 to 7 axes of 1 to {}",
                                   to_string(x.sizes()), layout.version, most));
  }
  const int64_t before = nifti_size(result, layout, 0, big_endian);  // axes that the header speaks of
  set_size(result, layout, 0, x.dim(), big_endian);
  for (int64_t axis = 1; axis < 8; ++axis) {
    const int64_t size = axis <= x.dim() ? x.size(x.dim() - axis) : 1;
    if (axis <= std::max(before, x.dim()) || !kept)
      set_size(result, layout, static_cast<size_t>(axis), size, big_endian);
  }
  if (kept && !on_grid_of(meta, x.sizes())) forget_geometry(result, layout, big_endian);
  const StoredNumbers numbers = stored_numbers(x, meta, big_endian);
  const auto* type = std::find_if(std::begin(nifti_types), std::end(nifti_types),
                                  [&](const NiftiType& t) { return numbers.type->name == t.name; });
  nifti_write(result, layout.datatype, type->code, big_endian);
  nifti_write(result, layout.bitpix, static_cast<int16_t>(8 * numbers.type->size), big_endian);
  const bool plain = numbers.slope == 1 && numbers.intercept == 0;
  const bool slope_kept = kept && nifti_real(result, layout, layout.slope, big_endian) == numbers.slope;
  if (!(plain && kept && nifti_real(result, layout, layout.slope, big_endian) == 0) && !slope_kept)
    set_real(result, layout, layout.slope, numbers.slope, big_endian);
  if (!plain || nifti_real(result, layout, layout.slope, big_endian) != 0)
    set_real(result, layout, layout.intercept, numbers.intercept, big_endian);
  if (layout.version == 1)
    nifti_write(result, layout.vox_offset, static_cast<float>(result.size()), big_endian);
  else
    nifti_write(result, layout.vox_offset, static_cast<int64_t>(result.size()), big_endian);
  result.insert(result.end(), numbers.bytes.begin(), numbers.bytes.end());
  return place.ends_with(".gz") ? gzipped(result, place) : result;
}

Bytes gzipped(ByteView bytes, const std::string& place) {
  z_stream stream{};
  if (deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    throw Error(place, "no memory for zlib", ErrorKind::resources);
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, &deflateEnd);
  constexpr size_t piece = size_t{1} << 20;
  Bytes result;
  std::vector<uint8_t> room(piece);
  int status = Z_OK;
  while (status != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      stream.next_in = const_cast<Bytef*>(bytes.data());
      stream.avail_in = static_cast<uInt>(std::min(bytes.size(), piece));
      bytes = bytes.subspan(stream.avail_in);
    }
    stream.next_out = room.data();
    stream.avail_out = static_cast<uInt>(room.size());
    status = deflate(&stream, bytes.empty() ? Z_FINISH : Z_NO_FLUSH);
    result.insert(result.end(), room.data(), room.data() + (room.size() - stream.avail_out));
  }
  return result;
}

}  // namespace tweedie
