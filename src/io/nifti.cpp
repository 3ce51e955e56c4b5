#include "io/nifti.h"

#include "core/shape.h"
#include "io/nifti_header.h"
#include "io/numbers.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <cmath>
#include <optional>

namespace tweedie {

namespace {

struct Header {
  NiftiLayout layout;
  bool big_endian;
};

std::optional<Header> find_header(ByteView bytes) {
  for (const NiftiLayout& layout : {nifti1, nifti2}) {
    if (bytes.size() < static_cast<size_t>(layout.size)) continue;
    const char* magic = layout.version == 1 ? "n+1" : "n+2";
    if (std::memcmp(bytes.data() + layout.magic, magic, 4) != 0) continue;
    for (const bool big_endian : {false, true}) {
      if (nifti_read<int32_t>(bytes, 0, big_endian) == layout.size) return Header{layout, big_endian};
    }
  }
  return std::nullopt;
}

Shape shape_of(ByteView bytes, const Header& h, const std::string& place) {
  const int64_t axes = nifti_size(bytes, h.layout, 0, h.big_endian);
  if (axes < 1 || axes > 7) throw Error(place, fmt::format("{} axes, but 1 to 7 are meant", axes));
  Shape shape;
  for (auto axis = static_cast<size_t>(axes); axis > 0; --axis) {
    const int64_t size = nifti_size(bytes, h.layout, axis, h.big_endian);
    if (size < 1) throw Error(place, fmt::format("axis {} has size {}, but >= 1 is meant", axis, size));
    shape.push_back(size);
  }
  return shape;
}

const NumberType& type_of(ByteView bytes, const Header& h, const std::string& place) {
  const auto code = nifti_read<int16_t>(bytes, h.layout.datatype, h.big_endian);
  for (const NiftiType& type : nifti_types) {
    if (type.code == code) return *find_number_type(type.name);
  }
  throw Error(place,
              fmt::format("NIfTI type {} is not read; 2, 4, 8, 16, 32, 64, 256, 512, 768, 1024 and 1792 "
                          "(integers to 64 bits, float32, float64, complex) are",
                          code));
}

// Rotation of the unit quaternion (a, b, c, d) times the sizes of a voxel, as the standard's method 2.
std::vector<double> affine_of_qform(ByteView bytes, const Header& h, const std::array<double, 4>& pixdim) {
  const size_t step = h.layout.pixdim_size;
  std::array<double, 6> q{};  // b, c, d, then the offsets
  for (size_t i = 0; i < 6; ++i)
    q[i] = nifti_real(bytes, h.layout, h.layout.quatern_b + i * step, h.big_endian);
  double b = q[0], c = q[1], d = q[2];
  double a = 1 - (b * b + c * c + d * d);
  if (a < 1e-7) {  // half a turn: rounding may have made it more
    const double length = 1 / std::sqrt(b * b + c * c + d * d);
    b *= length, c *= length, d *= length, a = 0;
  } else {
    a = std::sqrt(a);
  }
  const double x = pixdim[1], y = pixdim[2], z = pixdim[0] < 0 ? -pixdim[3] : pixdim[3];
  return {(a * a + b * b - c * c - d * d) * x,
          2 * (b * c - a * d) * y,
          2 * (b * d + a * c) * z,
          q[3],
          2 * (b * c + a * d) * x,
          (a * a + c * c - b * b - d * d) * y,
          2 * (c * d - a * b) * z,
          q[4],
          2 * (b * d - a * c) * x,
          2 * (c * d + a * b) * y,
          (a * a + d * d - b * b - c * c) * z,
          q[5]};
}

int64_t form_code(ByteView bytes, const Header& h, size_t place) {
  return h.layout.version == 1 ? nifti_read<int16_t>(bytes, place, h.big_endian)
                               : nifti_read<int32_t>(bytes, place, h.big_endian);
}

void read_geometry(ByteView bytes, const Header& h, ArrayMeta& meta) {
  const NiftiLayout& l = h.layout;
  std::array<double, 4> pixdim{};
  for (size_t i = 0; i < 4; ++i) pixdim[i] = nifti_real(bytes, l, l.pixdim + i * l.pixdim_size, h.big_endian);
  if (form_code(bytes, h, l.qform_code + l.code_size) > 0) {
    for (size_t i = 0; i < 12; ++i)
      meta.affine.push_back(nifti_real(bytes, l, l.srow + i * l.pixdim_size, h.big_endian));
  } else if (form_code(bytes, h, l.qform_code) > 0) {
    meta.affine = affine_of_qform(bytes, h, pixdim);
  }
  for (size_t axis = std::min<size_t>(3, meta.shape.size()); axis > 0; --axis)
    meta.spacing.push_back(std::abs(pixdim[axis]));
  const auto good = [](const std::vector<double>& v) {
    return std::all_of(v.begin(), v.end(), [](double x) { return std::isfinite(x); });
  };
  if (!good(meta.affine)) meta.affine.clear();
  if (!good(meta.spacing)) meta.spacing.clear();
  meta.orientation = orientation_of(meta.affine);
  const uint8_t unit = bytes[l.xyzt_units] & 7;
  meta.spacing_units = unit == 1 ? "m" : unit == 2 ? "mm" : unit == 3 ? "um" : "";
}

ArrayData parse_plain(ByteView bytes, const std::string& place) {
  const std::optional<Header> header = find_header(bytes);
  if (!header) {
    if (bytes.size() < static_cast<size_t>(nifti1.size)) {
      throw Error(place, fmt::format("truncated: {}, but a NIfTI-1 header has {}",
                                     count_of_bytes(bytes.size()), nifti1.size));
    }
    throw Error(place, "is no NIfTI-1 file in one piece (.nii), nor NIfTI-2");
  }
  const Header& h = *header;
  ArrayData result;
  ArrayMeta& meta = result.meta;
  meta.format = FileFormat::nifti;
  const Shape shape = meta.shape = shape_of(bytes, h, place);
  const NumberType& type = type_of(bytes, h, place);
  meta.dtype = type.name;
  const double start =
      h.layout.version == 1
          ? nifti_read<float>(bytes, h.layout.vox_offset, h.big_endian)
          : static_cast<double>(nifti_read<int64_t>(bytes, h.layout.vox_offset, h.big_endian));
  if (!(start >= h.layout.size && start <= static_cast<double>(bytes.size()) && start == std::floor(start)))
    throw Error(place, fmt::format("the numbers begin at {} of {}", start, count_of_bytes(bytes.size())));
  const uint64_t size = bytes_of(shape, type.size, place);
  // A float may have rounded the file's size up.
  const size_t offset = std::min(static_cast<size_t>(start), bytes.size());
  const ByteView data = bytes.subspan(offset);
  if (data.size() != size) {
    throw Error(place, fmt::format("{}: {} of data, but shape {} takes {}",
                                   data.size() < size ? "truncated" : "has trailing bytes",
                                   count_of_bytes(data.size()), to_string(shape), size));
  }
  const double slope = nifti_real(bytes, h.layout, h.layout.slope, h.big_endian);
  const double intercept = nifti_real(bytes, h.layout, h.layout.intercept, h.big_endian);
  if (!std::isfinite(slope) || !std::isfinite(intercept))
    throw Error(place, fmt::format("slope {} and intercept {}, but finite ones are meant", slope, intercept));
  if (slope != 0) {  // 0: the numbers are as they are
    meta.slope = slope;
    meta.intercept = intercept;
  }
  read_geometry(bytes, h, meta);
  meta.header.assign(reinterpret_cast<const char*>(bytes.data()), offset);
  const Tensor x = floats_from(data, type, shape, h.big_endian, meta.slope, meta.intercept);
  require_finite(x.data_ptr(), x.scalar_type(), shape, place);
  result.values = x;
  return result;
}

}  // namespace

bool is_nifti(ByteView bytes) {
  return find_header(bytes).has_value();
}

ArrayData parse_nifti_data(ByteView bytes, const std::string& place, uint64_t limit) {
  if (!is_gzip(bytes)) return parse_plain(bytes, place);
  const Bytes unpacked = gunzip(bytes, place, limit);
  if (is_gzip(unpacked)) throw Error(place, "is in gzip twice");
  return parse_plain(unpacked, place);
}

Tensor parse_nifti(ByteView bytes, const std::string& place, uint64_t limit) {
  return parse_nifti_data(bytes, place, limit).values;
}

std::string orientation_of(const std::vector<double>& affine) {
  if (affine.size() != 12) return "";
  std::string result;
  for (size_t axis = 0; axis < 3; ++axis) {
    size_t row = 0;
    for (size_t i = 1; i < 3; ++i) {
      if (std::abs(affine[4 * i + axis]) > std::abs(affine[4 * row + axis])) row = i;
    }
    result += (affine[4 * row + axis] < 0 ? "LPI" : "RAS")[row];
  }
  return result;
}

}  // namespace tweedie
