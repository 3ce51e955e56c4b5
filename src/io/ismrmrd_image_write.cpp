#include "core/shape.h"
#include "io/hdf5_read.h"
#include "io/hdf5_write.h"
#include "io/ismrmrd_image.h"
#include "tweedie/file_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace tweedie {

namespace {

// The format's number for a type, 0 where it has none
uint16_t data_type_of(const NumberType& type) {
  constexpr std::array known{"uint16",  "int16",   "uint32",    "int32",
                             "float32", "float64", "complex64", "complex128"};
  const auto found = std::find(known.begin(), known.end(), std::string_view(type.name));
  return found == known.end() ? 0 : static_cast<uint16_t>(found - known.begin() + 1);
}

// An array (..., y, x) as images: (count, 1, z, y, x)
struct Images {
  int64_t count = 1, z = 1, y = 1, x = 1;
  int64_t slices = 1;   // image i is of slice i mod slices
  bool placed = false;  // whether that is known
};

Images images_of(at::IntArrayRef shape, const std::string& xml) {
  Images result;
  const size_t axes = shape.size();
  result.x = shape[axes - 1];
  result.y = shape[axes - 2];
  int64_t third = 1;  // the axis before these, but for those of 1
  for (size_t axis = axes - 2; axis-- > 0 && third == 1;) third = shape[axis];
  const int64_t slices = ismrmrd_slices(xml).value_or(1), planes = ismrmrd_planes(xml);
  if (slices > 1 && third == slices) result.slices = slices;
  if (slices == 1 && planes > 1 && third == planes) result.z = planes;
  result.placed = result.slices == slices && result.z == planes;
  result.count = std::accumulate(shape.begin(), shape.end(), int64_t{1}, std::multiplies<>()) /
                 (result.z * result.y * result.x);
  return result;
}

std::string attributes_of(const ArrayMeta& meta) {
  std::string units;
  for (const char c : meta.units) {
    if (c == '<' || c == '&')
      units += c == '<' ? "&lt;" : "&amp;";
    else
      units += c;
  }
  const std::string text =
      units.empty() ? "" : fmt::format("<meta><name>units</name><value>{}</value></meta>", units);
  return fmt::format("<?xml version=\"1.0\"?><ismrmrdMeta>{}</ismrmrdMeta>", text);
}

std::vector<IsmrmrdImageHead> heads_of(const Images& images, const Shape& shape, const NumberType& type,
                                       const ArrayMeta& meta, size_t attributes) {
  std::vector<IsmrmrdImageHead> heads(static_cast<size_t>(images.count));
  const bool placed = on_grid_of(meta, shape);
  const auto place =
      placed && images.placed ? geometry_of(meta.affine, {images.x, images.y, images.z}) : std::nullopt;
  for (int64_t i = 0; i < images.count; ++i) {
    IsmrmrdImageHead& head = heads[static_cast<size_t>(i)];
    head.data_type = data_type_of(type);
    const std::array<int64_t, 3> size{images.x, images.y, images.z};
    for (size_t axis = 0; axis < 3; ++axis) head.size[axis] = static_cast<uint16_t>(size[axis]);
    head.type = c10::isComplexType(type.stored) ? 5 : 3;  // complex or real
    head.slice = static_cast<uint16_t>(i % images.slices);
    head.index = static_cast<uint16_t>(i);
    head.attributes = static_cast<uint32_t>(attributes);
    // What is known without directions: pixels
    for (size_t axis = 0; placed && axis < std::min<size_t>(2, meta.spacing.size()); ++axis) {
      const double step = meta.spacing[meta.spacing.size() - 1 - axis];
      head.field[axis] = static_cast<float>(step * static_cast<double>(size[axis]));
    }
    if (!place) continue;
    head.geometry = place->geometry;
    for (size_t axis = 0; axis < 3; ++axis) {
      head.field[axis] = static_cast<float>(place->spacing[axis] * static_cast<double>(size[axis]));
      head.geometry.position[axis] +=
          static_cast<float>(static_cast<double>(head.slice) * place->spacing[2]) * head.geometry.slice[axis];
    }
  }
  return heads;
}

}  // namespace

bool has_ismrmrd_image(const Tensor& x, const StoredNumbers& numbers, const ArrayMeta& meta) {
  if (x.dim() < 2 || x.numel() == 0 || data_type_of(*numbers.type) == 0) return false;
  const Images images = images_of(x.sizes(), meta.header);
  return std::max({images.count, images.z, images.y, images.x}) <= 65535;
}

void write_ismrmrd_image(const Hdf5& h, hid_t file, const Shape& shape, const StoredNumbers& numbers,
                         const ArrayMeta& meta, const std::string& name) {
  const auto check = check_hdf5;
  const Images images = images_of(shape, meta.header);
  const std::string group = "dataset/" + name, attributes = attributes_of(meta);
  const Hdf5Id outer(h, check(h.H5Gcreate2(file, "dataset", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT))),
      inner(h, check(h.H5Gcreate2(file, group.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
  const Hdf5Id timeless = timeless_dataset(h);
  const auto write = [&](const std::string& path, hid_t type, const std::vector<hsize_t>& sizes,
                         const void* data) {
    const Hdf5Id space(h, check(h.H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr)));
    const Hdf5Id dataset(
        h, check(h.H5Dcreate2(file, path.c_str(), type, space, H5P_DEFAULT, timeless, H5P_DEFAULT)));
    check(h.H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data));
  };
  const auto count = static_cast<hsize_t>(images.count);
  const Hdf5Id number = hdf5_type(h, *numbers.type, {"real", "imag"}), head = ismrmrd_image_head_type(h);
  const Hdf5Id text(h, check(h.H5Tcopy(h.type("C_S1"))));
  check(h.H5Tset_size(text, static_cast<size_t>(-1)));  // of any length
  const char* xml = meta.header.c_str();
  if (!meta.header.empty()) write("dataset/xml", text, {1}, &xml);
  write(group + "/data", number,
        {count, 1, static_cast<hsize_t>(images.z), static_cast<hsize_t>(images.y),
         static_cast<hsize_t>(images.x)},
        numbers.bytes.data());
  if (!meta.units.empty()) write_hdf5_units(h, file, group + "/data", meta.units);
  write(group + "/header", head, {count},
        heads_of(images, shape, *numbers.type, meta, attributes.size()).data());
  const std::vector<const char*> texts(count, attributes.c_str());
  write(group + "/attributes", text, {count}, texts.data());
}

}  // namespace tweedie
