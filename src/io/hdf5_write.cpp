#include "io/hdf5_write.h"
#include "core/shape.h"
#include "io/hdf5.h"
#include "io/isolated.h"

#include <fmt/format.h>

#include <functional>

namespace tweedie {

namespace {

std::string type_name(const NumberType& type) {
  const std::string name(type.name);
  if (name.starts_with("float")) return name == "float32" ? "NATIVE_FLOAT" : "NATIVE_DOUBLE";
  const bool is_unsigned = name[0] == 'u';
  return fmt::format("NATIVE_{}INT{}", is_unsigned ? "U" : "", 8 * type.size);
}

Hdf5Id text_type(const Hdf5& h, const std::string& text) {
  Hdf5Id result(h, h.H5Tcopy(h.type("C_S1")));
  h.H5Tset_size(result, text.size());
  return result;
}

// A file in memory, filled and given to the reply
void write(const Hdf5& h, IsolatedReply& reply, const std::function<void(hid_t file)>& fill) {
  const auto check = check_hdf5;
  check(h.H5open());
  h.H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Hdf5Id access(h, check(h.H5Pcreate(h.property("FILE_ACCESS"))));
  check(h.H5Pset_fapl_core(access, size_t{1} << 20, /*backing_store=*/0));
  constexpr unsigned truncate = 2;  // H5F_ACC_TRUNC, whose macro would call the library
  const Hdf5Id file(h, check(h.H5Fcreate("memory", truncate, H5P_DEFAULT, access)));
  fill(file);
  check(h.H5Fflush(file, H5F_SCOPE_GLOBAL));
  const ssize_t size = h.H5Fget_file_image(file, nullptr, 0);
  check(static_cast<hid_t>(size));
  check(static_cast<hid_t>(
      h.H5Fget_file_image(file, reply.set_size(static_cast<uint64_t>(size)), static_cast<size_t>(size))));
}

void write_dataset(const Hdf5& h, hid_t file, const Shape& shape, const StoredNumbers& numbers,
                   const ArrayMeta& meta, const std::string& name) {
  const auto check = check_hdf5;
  for (size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    const std::string group = name.substr(0, slash);
    if (group.empty() || h.H5Lexists(file, group.c_str(), H5P_DEFAULT) > 0) continue;
    const Hdf5Id made(h, check(h.H5Gcreate2(file, group.c_str(), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT)));
  }
  // Equal contents are equal files.
  const Hdf5Id timeless = timeless_dataset(h);
  const std::vector<hsize_t> sizes(shape.begin(), shape.end());
  const Hdf5Id space(
      h, check(shape.empty() ? h.H5Screate(H5S_SCALAR)
                             : h.H5Screate_simple(static_cast<int>(sizes.size()), sizes.data(), nullptr)));
  const Hdf5Id type = hdf5_type(h, *numbers.type, {"r", "i"}), scalar(h, h.H5Screate(H5S_SCALAR));
  {
    const Hdf5Id dataset(
        h, check(h.H5Dcreate2(file, name.c_str(), type, space, H5P_DEFAULT, timeless, H5P_DEFAULT)));
    check(h.H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, numbers.bytes.data()));
  }
  if (!meta.units.empty()) write_hdf5_units(h, file, name, meta.units);
  const bool has_header = meta.format == FileFormat::hdf5 || meta.format == FileFormat::ismrmrd;
  if (has_header && !meta.header.empty()) {
    const Hdf5Id text = text_type(h, meta.header);
    const Hdf5Id header(
        h, check(h.H5Dcreate2(file, "ismrmrd_header", text, scalar, H5P_DEFAULT, timeless, H5P_DEFAULT)));
    check(h.H5Dwrite(header, text, H5S_ALL, H5S_ALL, H5P_DEFAULT, meta.header.data()));
  }
}

}  // namespace

hid_t check_hdf5(hid_t status) {
  if (status < 0) throw Error("hdf5", "can't be written by libhdf5", ErrorKind::resources);
  return status;
}

Hdf5Id timeless_dataset(const Hdf5& h) {
  Hdf5Id result(h, check_hdf5(h.H5Pcreate(h.property("DATASET_CREATE"))));
  check_hdf5(h.H5Pset_obj_track_times(result, false));
  return result;
}

void write_hdf5_units(const Hdf5& h, hid_t file, const std::string& dataset, const std::string& units) {
  const Hdf5Id to(h, check_hdf5(h.H5Dopen2(file, dataset.c_str(), H5P_DEFAULT)));
  const Hdf5Id text = text_type(h, units), scalar(h, check_hdf5(h.H5Screate(H5S_SCALAR)));
  const Hdf5Id id(h, check_hdf5(h.H5Acreate2(to, "units", text, scalar, H5P_DEFAULT, H5P_DEFAULT)));
  check_hdf5(h.H5Awrite(id, text, units.data()));
}

Hdf5Id hdf5_type(const Hdf5& h, const NumberType& type, const std::array<const char*, 2>& parts) {
  if (!c10::isComplexType(type.stored)) return {h, h.H5Tcopy(h.type(type_name(type)))};
  Hdf5Id result(h, h.H5Tcreate(H5T_COMPOUND, type.size));
  const hid_t part = h.type(type.size == 8 ? "NATIVE_FLOAT" : "NATIVE_DOUBLE");
  h.H5Tinsert(result, parts[0], 0, part);
  h.H5Tinsert(result, parts[1], type.size / 2, part);
  return result;
}

Bytes encode_hdf5(const Tensor& x, const ArrayMeta& meta, const std::string& inside,
                  const std::string& place) {
  if (x.dim() > H5S_MAX_RANK) throw Error(place, fmt::format("{} axes, but HDF5 has up to 32", x.dim()));
  const Hdf5& library = Hdf5::library(place);
  const StoredNumbers numbers = stored_numbers(x, meta, false);
  const std::string name = inside.empty() ? "data" : inside.substr(0, inside.find('['));
  const bool images = meta.format == FileFormat::ismrmrd && has_ismrmrd_image(x, numbers, meta);
  Bytes result;
  run_isolated(
      place, "can't be written: libhdf5 broke down",
      {.memory = (uint64_t{1} << 30) + 4 * numbers.bytes.size(),
       .seconds = 60 + numbers.bytes.size() / (10 << 20)},
      [&](IsolatedReply& reply) {
        write(library, reply, [&](hid_t file) {
          if (images) return write_ismrmrd_image(library, file, x.sizes().vec(), numbers, meta, name);
          write_dataset(library, file, x.sizes().vec(), numbers, meta, name);
        });
      },
      [&](const IsolatedReply& reply) {
        const ByteView image = reply.numbers();
        result.assign(image.begin(), image.end());
      });
  return result;
}

}  // namespace tweedie
