// Images of ISMRMRD (Inati et al. 2017): a group with data (images, channels, z, y, x), and for each image a
// header and a text of attributes in XML. Here they are read, in ismrmrd_image_write.cpp written.
#include "io/ismrmrd_image.h"

#include "io/hdf5_read.h"

#include <cmath>

namespace tweedie {

Hdf5Id ismrmrd_image_head_type(const Hdf5& h) {
  Hdf5Id head(h, h.H5Tcreate(H5T_COMPOUND, sizeof(IsmrmrdImageHead)));
  const auto member = [&](const char* name, size_t offset, const char* type, hsize_t count = 1) {
    const hid_t one = h.type(type);
    if (count == 1) return h.H5Tinsert(head, name, offset, one);
    const Hdf5Id several(h, h.H5Tarray_create2(one, 1, &count));
    return h.H5Tinsert(head, name, offset, several);
  };
  constexpr const char* u16 = "NATIVE_UINT16";
  constexpr const char* u32 = "NATIVE_UINT32";
  constexpr const char* f32 = "NATIVE_FLOAT";
  member("version", offsetof(IsmrmrdImageHead, version), u16);
  member("data_type", offsetof(IsmrmrdImageHead, data_type), u16);
  member("flags", offsetof(IsmrmrdImageHead, flags), "NATIVE_UINT64");
  member(" measurement_uid", offsetof(IsmrmrdImageHead, measurement), u32);  // the format's own spelling
  member("matrix_size", offsetof(IsmrmrdImageHead, size), u16, 3);
  member("field_of_view", offsetof(IsmrmrdImageHead, field), f32, 3);
  member("channels", offsetof(IsmrmrdImageHead, channels), u16);
  insert_ismrmrd_geometry(h, head, offsetof(IsmrmrdImageHead, geometry));
  member("patient_table_position", offsetof(IsmrmrdImageHead, table), f32, 3);
  member("average", offsetof(IsmrmrdImageHead, average), u16);
  member("slice", offsetof(IsmrmrdImageHead, slice), u16);
  member("contrast", offsetof(IsmrmrdImageHead, contrast), u16);
  member("phase", offsetof(IsmrmrdImageHead, phase), u16);
  member("repetition", offsetof(IsmrmrdImageHead, repetition), u16);
  member("set", offsetof(IsmrmrdImageHead, set), u16);
  member("acquisition_time_stamp", offsetof(IsmrmrdImageHead, time), u32);
  member("physiology_time_stamp", offsetof(IsmrmrdImageHead, physiology), u32, 3);
  member("image_type", offsetof(IsmrmrdImageHead, type), u16);
  member("image_index", offsetof(IsmrmrdImageHead, index), u16);
  member("image_series_index", offsetof(IsmrmrdImageHead, series), u16);
  member("user_int", offsetof(IsmrmrdImageHead, user_int), "NATIVE_INT32", 8);
  member("user_float", offsetof(IsmrmrdImageHead, user_float), f32, 8);
  member("attribute_string_len", offsetof(IsmrmrdImageHead, attributes), u32);
  return head;
}

std::optional<IsmrmrdImage> ismrmrd_image_of(const Hdf5File& file, const std::string& dataset,
                                             const Shape& shape, std::optional<int64_t> index) {
  const Hdf5& h = file.api;
  if (!dataset.ends_with("/data") || shape.size() != 5) return std::nullopt;
  const std::string name = dataset.substr(0, dataset.size() - 4) + "header";
  if (h.H5Lexists(file.id, name.c_str(), H5P_DEFAULT) <= 0) return std::nullopt;
  const Hdf5Id header(h, h.H5Dopen2(file.id, name.c_str(), H5P_DEFAULT));
  if (!header.ok()) return std::nullopt;
  const Hdf5Id type(h, h.H5Dget_type(header)), space(h, h.H5Dget_space(header));
  if (!type.ok() || h.H5Tget_class(type) != H5T_COMPOUND || h.H5Tget_member_index(type, "matrix_size") < 0)
    return std::nullopt;
  const hssize_t count = h.H5Sget_simple_extent_npoints(space);
  if (count != shape[0] || count < 1 || count > 65535) return IsmrmrdImage{};
  std::vector<IsmrmrdImageHead> heads(static_cast<size_t>(count));
  if (h.H5Dread(header, ismrmrd_image_head_type(h), H5S_ALL, H5S_ALL, H5P_DEFAULT, heads.data()) < 0)
    return IsmrmrdImage{};
  const std::array<int64_t, 3> size{shape[4], shape[3], shape[2]};
  std::array<double, 3> spacing{};
  const IsmrmrdImageHead& first = heads[static_cast<size_t>(index.value_or(0))];
  for (size_t axis = 0; axis < 3; ++axis) {
    if (first.size[axis] != size[axis]) return IsmrmrdImage{};
    spacing[axis] = static_cast<double>(first.field[axis]) / static_cast<double>(size[axis]);
    const bool known = spacing[axis] > 0 && std::isfinite(spacing[axis]);
    if (!known && axis < 2) return IsmrmrdImage{};
    if (!known) return IsmrmrdImage{.spacing = {spacing[1], spacing[0]}, .affine = {}};
  }
  IsmrmrdImage result{.spacing = {spacing[1], spacing[0]}, .affine = {}};
  std::vector<IsmrmrdGeometry> places;  // of the slices 0, 1, .. that images begin with
  while (!index && places.size() < heads.size() && heads[places.size()].slice == places.size())
    places.push_back(heads[places.size()].geometry);
  if (places.size() > 1) {
    const auto step = slice_step(places);
    if (!step) return result;
    spacing[2] = *step;
  }
  result.affine = affine_of(first.geometry, size, spacing);
  return result;
}

}  // namespace tweedie
