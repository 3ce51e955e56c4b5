#include "io/hdf5_read.h"

#include "core/shape.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <charconv>
#include <cmath>

namespace tweedie {

namespace {

constexpr size_t most_text = size_t{1} << 19;

struct Item {  // "kspace[3]": element 3 of kspace
  std::string name;
  std::optional<int64_t> index;
};

Item item_of(const std::string& inside) {
  const size_t open = inside.rfind('[');
  if (open == std::string::npos || inside.back() != ']') return {inside, {}};
  int64_t index = 0;
  const char* end = inside.data() + inside.size() - 1;
  const auto [next, error] = std::from_chars(inside.data() + open + 1, end, index);
  if (error != std::errc() || next != end || index < 0) return {inside, {}};
  return {inside.substr(0, open), index};
}

// Of the file's type, in this machine's byte order
struct MemoryType {
  std::string name;  // NumPy's
  hid_t id;
};

std::string float_name(const Hdf5& h, hid_t type) {
  return h.H5Tget_size(type) <= 4 ? "float32" : "float64";
}

std::optional<MemoryType> complex_type(const Hdf5& h, hid_t type) {
  if (h.H5Tget_nmembers(type) != 2) return std::nullopt;
  char* names[2] = {h.H5Tget_member_name(type, 0), h.H5Tget_member_name(type, 1)};
  const std::string real = names[0] ? names[0] : "", imaginary = names[1] ? names[1] : "";
  for (char* name : names) h.H5free_memory(name);
  if (!((real == "r" && imaginary == "i") || (real == "real" && imaginary == "imag"))) return std::nullopt;
  std::string part;
  for (unsigned i = 0; i < 2; ++i) {
    const Hdf5Id member(h, h.H5Tget_member_type(type, i));
    if (!member.ok() || h.H5Tget_class(member) != H5T_FLOAT) return std::nullopt;
    if (part.empty() || float_name(h, member) == "float64") part = float_name(h, member);
  }
  const bool wide = part == "float64";
  const hid_t id = h.H5Tcreate(H5T_COMPOUND, wide ? 16 : 8);
  const hid_t number = h.type(wide ? "NATIVE_DOUBLE" : "NATIVE_FLOAT");
  h.H5Tinsert(id, real.c_str(), 0, number);
  h.H5Tinsert(id, imaginary.c_str(), wide ? 8 : 4, number);
  return MemoryType{wide ? "complex128" : "complex64", id};
}

// uint16 and uint32 are converted by the library to the wider type that libtorch has.
std::optional<MemoryType> memory_type(const Hdf5& h, hid_t type) {
  const H5T_class_t kind = h.H5Tget_class(type);
  const size_t size = h.H5Tget_size(type);
  if (kind == H5T_FLOAT) {
    const std::string name = float_name(h, type);
    return MemoryType{name, h.type(name == "float32" ? "NATIVE_FLOAT" : "NATIVE_DOUBLE")};
  }
  if (kind == H5T_INTEGER && (size == 1 || size == 2 || size == 4 || size == 8)) {
    const bool is_unsigned = h.H5Tget_sign(type) == H5T_SGN_NONE;
    if (is_unsigned && size == 8) return std::nullopt;
    const std::string name = fmt::format("{}int{}", is_unsigned ? "u" : "", 8 * size);
    const size_t bits = is_unsigned && size > 1 ? 16 * size : 8 * size;
    return MemoryType{name, h.type(fmt::format("NATIVE_{}INT{}", is_unsigned && size == 1 ? "U" : "", bits))};
  }
  if (kind == H5T_ENUM && size == 1) return MemoryType{"uint8", h.H5Tcopy(type)};  // h5py's bool
  if (kind == H5T_COMPOUND) return complex_type(h, type);
  return std::nullopt;
}

bool has_numbers(const Hdf5File& file, const std::string& name) {
  const Hdf5& h = file.api;
  const Hdf5Id dataset(h, h.H5Dopen2(file.id, name.c_str(), H5P_DEFAULT));
  if (!dataset.ok()) return false;
  const Hdf5Id type(h, h.H5Dget_type(dataset));
  return type.ok() && memory_type(h, type).has_value();
}

// The data sets of numbers below a group, with their whole names
void list(const Hdf5File& file, const std::string& group, int depth, std::vector<std::string>& names) {
  constexpr size_t most = 20;
  const Hdf5& h = file.api;
  const Hdf5Id id(h, h.H5Gopen2(file.id, group.empty() ? "/" : group.c_str(), H5P_DEFAULT));
  hsize_t count = 0;
  if (!id.ok() || h.H5Gget_num_objs(id, &count) < 0) return;
  for (hsize_t i = 0; i < std::min<hsize_t>(count, 1000) && names.size() < most; ++i) {
    char name[256];
    if (h.H5Gget_objname_by_idx(id, i, name, sizeof name) <= 0) continue;
    const std::string whole = group.empty() ? name : group + "/" + name;
    const int kind = h.H5Gget_objtype_by_idx(id, i);
    if (kind == H5G_DATASET && has_numbers(file, whole)) names.push_back(whole);
    if (kind == H5G_GROUP && depth < 4) list(file, whole, depth + 1, names);
  }
}

Shape shape_of(const Hdf5& h, hid_t space) {
  const int axes = h.H5Sget_simple_extent_ndims(space);
  const H5S_class_t kind = h.H5Sget_simple_extent_type(space);
  if (axes < 0 || axes > H5S_MAX_RANK || (kind != H5S_SIMPLE && kind != H5S_SCALAR))
    throw Error("hdf5", "holds no array");
  std::vector<hsize_t> sizes(static_cast<size_t>(axes) + 1);
  if (axes > 0 && h.H5Sget_simple_extent_dims(space, sizes.data(), nullptr) != axes)
    throw Error("hdf5", "a damaged shape");
  Shape shape;
  for (int axis = 0; axis < axes; ++axis) {
    if (sizes[static_cast<size_t>(axis)] > INT64_MAX / 2)
      throw Error("hdf5", "a shape larger than any memory");
    shape.push_back(static_cast<int64_t>(sizes[static_cast<size_t>(axis)]));
  }
  return shape;
}

// What the file claims has to be in it: deflate packs at most 1032 to 1.
void require_stored(const Hdf5& h, hid_t dataset, const Shape& shape, uint64_t item) {
  const uint64_t claimed = bytes_of(shape, item, "hdf5"), stored = h.H5Dget_storage_size(dataset);
  const Hdf5Id properties(h, h.H5Dget_create_plist(dataset));
  const bool packed = properties.ok() && h.H5Pget_nfilters(properties) > 0;
  if (claimed > 0 && (packed ? claimed / 1032 > stored : claimed > stored)) {
    throw Error("hdf5", fmt::format("truncated: {} are stored, too few for shape {}", count_of_bytes(stored),
                                    to_string(shape)));
  }
}

std::string attribute(const Hdf5& h, hid_t object, const char* name) {
  if (h.H5Aexists(object, name) <= 0) return "";
  const Hdf5Id id(h, h.H5Aopen(object, name, H5P_DEFAULT));
  if (!id.ok()) return "";
  const Hdf5Id type(h, h.H5Aget_type(id)), space(h, h.H5Aget_space(id));
  if (!type.ok() || !space.ok() || h.H5Sget_simple_extent_npoints(space) != 1) return "";
  return read_hdf5_text(h, type, [&](hid_t memory, void* to) { return h.H5Aread(id, memory, to); });
}

Hdf5Id open_dataset(const Hdf5File& file, std::string& name) {
  const Hdf5& h = file.api;
  std::vector<std::string> names;
  if (name.empty()) {
    list(file, "", 0, names);
    if (names.size() == 1) name = names[0];
  }
  Hdf5Id result(h, name.empty() ? -1 : h.H5Dopen2(file.id, name.c_str(), H5P_DEFAULT));
  if (result.ok()) return result;
  if (names.empty()) list(file, "", 0, names);
  if (names.empty()) throw Error("hdf5", "holds no data set that can be read");
  for (std::string& each : names) each = one_line(each);
  throw Error("hdf5", fmt::format("{}; write FILE.h5:NAME with one of {}",
                                  name.empty() ? "holds several data sets"
                                               : fmt::format("has no data set '{}'", one_line(name)),
                                  fmt::join(names, ", ")));
}

}  // namespace

std::string read_hdf5_text(const Hdf5& h, hid_t type, const std::function<herr_t(hid_t, void*)>& read) {
  if (h.H5Tget_class(type) != H5T_STRING) return "";
  if (h.H5Tis_variable_str(type) > 0) {
    char* text = nullptr;
    if (read(type, &text) < 0 || text == nullptr) return "";
    return {text, ::strnlen(text, most_text)};
  }
  const size_t size = h.H5Tget_size(type);
  if (size == 0 || size > most_text) return "";
  std::string text(size, '\0');
  if (read(type, text.data()) < 0) return "";
  return text.substr(0, text.find('\0'));
}

std::string read_hdf5_text_of(const Hdf5File& file, const std::string& dataset) {
  const Hdf5& h = file.api;
  const Hdf5Id id(h, h.H5Dopen2(file.id, dataset.c_str(), H5P_DEFAULT));
  if (!id.ok()) return "";
  const Hdf5Id type(h, h.H5Dget_type(id)), space(h, h.H5Dget_space(id));
  if (!type.ok() || !space.ok() || h.H5Sget_simple_extent_npoints(space) != 1) return "";
  return read_hdf5_text(h, type, [&](hid_t memory, void* to) {
    return h.H5Dread(id, memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to);
  });
}

void read_hdf5_dataset(const Hdf5File& file, const std::string& inside, IsolatedReply& reply) {
  const Hdf5& h = file.api;
  Item item = item_of(inside);
  const Hdf5Id dataset = open_dataset(file, item.name);
  const Hdf5Id type(h, h.H5Dget_type(dataset)), space(h, h.H5Dget_space(dataset));
  if (!type.ok() || !space.ok()) throw Error("hdf5", "is damaged");
  const std::optional<MemoryType> memory = memory_type(h, type);
  if (!memory) {
    throw Error(
        "hdf5",
        "holds no numbers that are read; integers to 64 bits (no uint64), floats, and complex numbers "
        "as pairs (r, i) are");
  }
  const Shape stored = shape_of(h, space);
  Shape shape = stored;
  require_stored(h, dataset, shape, h.H5Tget_size(type));
  hid_t of_memory = H5S_ALL, of_file = H5S_ALL;
  if (item.index) {
    if (shape.empty() || *item.index >= shape[0])
      throw Error("hdf5", fmt::format("index {}, but the shape is {}", *item.index, to_string(shape)));
    std::vector<hsize_t> start(shape.size(), 0), count(shape.begin(), shape.end());
    start[0] = static_cast<hsize_t>(*item.index);
    count[0] = 1;
    h.H5Sselect_hyperslab(space, H5S_SELECT_SET, start.data(), nullptr, count.data(), nullptr);
    of_memory = h.H5Screate_simple(static_cast<int>(count.size()), count.data(), nullptr);
    of_file = space;
    shape.erase(shape.begin());
  }
  const NumberType& number = *find_number_type(memory->name);
  const uint64_t bytes = bytes_of(shape, c10::elementSize(number.result), "hdf5");
  allow_memory(2 * bytes + file.size + (uint64_t{1} << 30));
  uint8_t* to = reply.set_size(bytes);
  if (bytes > 0 && h.H5Dread(dataset, memory->id, of_memory, of_file, H5P_DEFAULT, to) < 0)
    throw Error("hdf5", "can't be read: damaged, cut short, or packed in a way that libhdf5 lacks");
  const auto image = ismrmrd_image_of(file, item.name, stored, item.index);
  const std::string header = read_hdf5_text_of(file, image ? "dataset/xml" : "ismrmrd_header");
  std::string units = attribute(h, dataset, "units");
  if (units.empty()) units = attribute(h, dataset, "unit");
  std::vector<double> spacing = image ? image->spacing : spacing_of_ismrmrd(header);
  if (shape.size() < 2) spacing.clear();
  // (images, channels, z, y, x), of which one is no axis
  for (size_t axis = 3; image && axis-- > 0 && shape.size() > 2;) {
    if (axis + 2 < shape.size() && shape[axis] == 1)
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(axis));
  }
  reply.set_text(nlohmann::json{
      {"ismrmrd", image.has_value()},
      {"dtype", memory->name},
      {"shape", shape},
      {"units", units},
      {"spacing", spacing},
      {"affine", image ? image->affine : std::vector<double>{}},
      {"header",
       header}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace tweedie
