// ISMRMRD: acquisitions, a header and samples each, and one XML text. Here the Cartesian ones become k-space:
// an acquisition is line kspace_encode_step_1, moved so that the center that the XML states falls on the
// middle, and its samples are moved so that center_sample does.
#include "io/hdf5_read.h"

#include "core/shape.h"
#include "io/ismrmrd_geometry.h"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <complex>
#include <map>

namespace tweedie {

namespace {

// The members of an acquisition that are read; the library finds them by name.
struct Counters {
  uint16_t ky, kz, slice, contrast, phase, repetition, set;
};
struct Head {
  uint64_t flags;
  uint16_t samples, channels, discard_pre, discard_post, center, space;
  IsmrmrdGeometry geometry;
  Counters idx;
};
struct Acquisition {
  Head head;
  hvl_t data;
};

Hdf5Id memory_type(const Hdf5& h) {
  const auto compound = [&](size_t size) { return Hdf5Id(h, h.H5Tcreate(H5T_COMPOUND, size)); };
  const hid_t u16 = h.type("NATIVE_UINT16");
  const Hdf5Id idx = compound(sizeof(Counters)), head = compound(sizeof(Head));
  h.H5Tinsert(idx, "kspace_encode_step_1", offsetof(Counters, ky), u16);
  h.H5Tinsert(idx, "kspace_encode_step_2", offsetof(Counters, kz), u16);
  h.H5Tinsert(idx, "slice", offsetof(Counters, slice), u16);
  h.H5Tinsert(idx, "contrast", offsetof(Counters, contrast), u16);
  h.H5Tinsert(idx, "phase", offsetof(Counters, phase), u16);
  h.H5Tinsert(idx, "repetition", offsetof(Counters, repetition), u16);
  h.H5Tinsert(idx, "set", offsetof(Counters, set), u16);
  h.H5Tinsert(head, "flags", offsetof(Head, flags), h.type("NATIVE_UINT64"));
  h.H5Tinsert(head, "number_of_samples", offsetof(Head, samples), u16);
  h.H5Tinsert(head, "active_channels", offsetof(Head, channels), u16);
  h.H5Tinsert(head, "discard_pre", offsetof(Head, discard_pre), u16);
  h.H5Tinsert(head, "discard_post", offsetof(Head, discard_post), u16);
  h.H5Tinsert(head, "center_sample", offsetof(Head, center), u16);
  h.H5Tinsert(head, "encoding_space_ref", offsetof(Head, space), u16);
  insert_ismrmrd_geometry(h, head, offsetof(Head, geometry));
  h.H5Tinsert(head, "idx", offsetof(Head, idx), idx);
  Hdf5Id result = compound(sizeof(Acquisition));
  const Hdf5Id data(h, h.H5Tvlen_create(h.type("NATIVE_FLOAT")));
  h.H5Tinsert(result, "head", offsetof(Acquisition, head), head);
  h.H5Tinsert(result, "data", offsetof(Acquisition, data), data);
  return result;
}

// Noise, navigators, phase correction, feedback and dummy scans are no lines of the image's k-space.
bool is_image_line(const Head& head) {
  constexpr int others[] = {19, 23, 24, 26, 27, 28, 29};
  for (const int flag : others) {
    if ((head.flags >> (flag - 1) & 1) != 0) return false;
  }
  return head.space == 0;
}

std::optional<int64_t> whole_in(const std::string& xml, const std::vector<std::string>& path) {
  const std::string text = inside_tags(xml, path);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0 || value > 65536)
    return std::nullopt;
  return value;
}

// What the acquisitions are sorted into: (slices, repetitions, coils, kz, ky, kx)
struct Grid {
  int64_t slices = 1, repetitions = 1, coils = 0, nz = 1, ny = 0, nx = 0;
  int64_t shift_z = 0, shift_y = 0;
  std::map<int64_t, IsmrmrdGeometry> places;  // of the slices, by their first line

  int64_t lines() const { return slices * repetitions * nz * ny; }
  // Place of the line of these counters in (slices, repetitions, kz, ky)
  int64_t line(const Counters& idx) const {
    const int64_t y = idx.ky + shift_y, z = idx.kz + shift_z;
    if (y < 0 || y >= ny || z < 0 || z >= nz) {
      throw Error("hdf5", fmt::format("a line ({}, {}) outside of the encoded matrix of {} x {} lines",
                                      idx.ky, idx.kz, ny, nz));
    }
    return ((idx.slice * repetitions + idx.repetition) * nz + z) * ny + y;
  }
  Shape shape(bool mask) const {
    Shape result;
    if (slices > 1) result.push_back(slices);
    if (repetitions > 1) result.push_back(repetitions);
    if (!mask) result.push_back(coils);
    if (nz > 1) result.push_back(nz);
    result.push_back(ny);
    result.push_back(nx);
    return result;
  }
};

Grid grid_of(const std::string& xml) {
  const std::string trajectory = inside_tags(xml, {"encoding", "trajectory"});
  if (!trajectory.empty() && trajectory != "cartesian")
    throw Error("hdf5",
                fmt::format("its trajectory is {}, but cartesian ones are read", one_line(trajectory)));
  Grid grid;
  const auto size = [&](const char* axis) {
    return whole_in(xml, {"encoding", "encodedSpace", "matrixSize", axis});
  };
  const auto nx = size("x"), ny = size("y"), nz = size("z");
  if (!nx || !ny || *nx < 1 || *ny < 1)
    throw Error("hdf5", "its XML header states no encodedSpace.matrixSize");
  grid.nx = *nx;
  grid.ny = *ny;
  grid.nz = std::max<int64_t>(1, nz.value_or(1));
  const auto center = [&](const char* axis, int64_t otherwise) {
    return whole_in(xml, {"encoding", "encodingLimits", axis, "center"}).value_or(otherwise);
  };
  grid.shift_y = grid.ny / 2 - center("kspace_encoding_step_1", grid.ny / 2);
  grid.shift_z = grid.nz / 2 - center("kspace_encoding_step_2", grid.nz / 2);
  return grid;
}

// All acquisitions, a few at a time; each is valid during its visit only.
void for_each_acquisition(const Hdf5File& file, const std::function<void(const Acquisition&)>& visit) {
  const Hdf5& h = file.api;
  const Hdf5Id dataset(h, h.H5Dopen2(file.id, "dataset/data", H5P_DEFAULT)),
      space(h, h.H5Dget_space(dataset));
  const hssize_t count = h.H5Sget_simple_extent_npoints(space);
  if (h.H5Sget_simple_extent_ndims(space) > 2 || count < 1) throw Error("hdf5", "has no acquisitions");
  const int axes = h.H5Sget_simple_extent_ndims(space);
  const Hdf5Id type = memory_type(h);
  constexpr hssize_t together = 64;
  for (hssize_t at = 0; at < count; at += together) {
    const hsize_t start[2] = {static_cast<hsize_t>(at), 0};
    const hsize_t taken[2] = {static_cast<hsize_t>(std::min(together, count - at)), 1};
    h.H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, taken, nullptr);
    const Hdf5Id memory(h, h.H5Screate_simple(axes, taken, nullptr));
    std::vector<Acquisition> some(taken[0]);
    if (h.H5Dread(dataset, type, memory, space, H5P_DEFAULT, some.data()) < 0)
      throw Error("hdf5", "its acquisitions can't be read: damaged or cut short");
    for (const Acquisition& each : some) {
      if (is_image_line(each.head)) visit(each);
    }
    h.H5Dvlen_reclaim(type, memory, H5P_DEFAULT, some.data());
  }
}

Grid measure(const Hdf5File& file, const std::string& xml) {
  Grid grid = grid_of(xml);
  int64_t contrasts = 0;
  for_each_acquisition(file, [&](const Acquisition& a) {
    const Head& head = a.head;
    if (grid.coils == 0) grid.coils = head.channels;
    if (head.channels != grid.coils || head.channels == 0)
      throw Error("hdf5", fmt::format("acquisitions of {} and of {} channels", grid.coils, head.channels));
    if (a.data.len != size_t{2} * head.samples * head.channels)
      throw Error("hdf5", "an acquisition whose numbers are not 2 x samples x channels");
    grid.places.try_emplace(head.idx.slice, head.geometry);
    grid.slices = std::max<int64_t>(grid.slices, head.idx.slice + 1);
    grid.repetitions = std::max<int64_t>(grid.repetitions, head.idx.repetition + 1);
    contrasts = std::max<int64_t>({contrasts, head.idx.contrast, head.idx.phase, head.idx.set});
  });
  if (grid.coils == 0) throw Error("hdf5", "has no acquisitions of an image");
  if (contrasts > 0) throw Error("hdf5", "several contrasts, phases or sets; files of one are read");
  return grid;
}

// Voxels of the k-space's grid, whose field of view is the encoded one
std::vector<double> affine_of_grid(const Grid& grid, const std::string& xml) {
  std::array<double, 3> spacing{};
  const std::array<int64_t, 3> size{grid.nx, grid.ny, grid.nz};
  for (size_t axis = 0; axis < 3; ++axis) {
    const std::string text =
        inside_tags(xml, {"encoding", "encodedSpace", "fieldOfView_mm", std::array{"x", "y", "z"}[axis]});
    double field = 0;
    std::from_chars(text.data(), text.data() + text.size(), field);
    if (!(field > 0 && std::isfinite(field))) return {};
    spacing[axis] = field / static_cast<double>(size[axis]);
  }
  if (static_cast<int64_t>(grid.places.size()) != grid.slices) return {};
  if (grid.slices > 1) {
    // Without a count in the header a writer couldn't tell which image is of which slice.
    if (grid.slices != ismrmrd_slices(xml)) return {};
    std::vector<IsmrmrdGeometry> places;
    for (const auto& [slice, place] : grid.places) places.push_back(place);
    const auto step = slice_step(places);
    if (!step) return {};
    spacing[2] = *step;
  }
  return affine_of(grid.places.begin()->second, size, spacing);
}

void add_line(const Grid& grid, const Acquisition& a, std::complex<float>* kspace, int64_t line) {
  const Head& head = a.head;
  const int64_t of_coil = grid.nz * grid.ny, slice = line / of_coil, within = line % of_coil;
  const int64_t shift = grid.nx / 2 - head.center;
  const auto* samples = static_cast<const std::complex<float>*>(a.data.p);
  for (int64_t c = 0; c < grid.coils; ++c) {
    std::complex<float>* row = kspace + ((slice * grid.coils + c) * of_coil + within) * grid.nx;
    for (int64_t s = head.discard_pre; s < head.samples - head.discard_post; ++s) {
      const int64_t x = s + shift;
      if (x < 0 || x >= grid.nx)
        throw Error("hdf5", fmt::format("samples outside of the encoded matrix of {}", grid.nx));
      row[x] += samples[c * head.samples + s];
    }
  }
}

}  // namespace

void insert_ismrmrd_geometry(const Hdf5& h, hid_t compound, size_t offset) {
  const hsize_t three = 3;
  const Hdf5Id vector(h, h.H5Tarray_create2(h.type("NATIVE_FLOAT"), 1, &three));
  h.H5Tinsert(compound, "position", offset + offsetof(IsmrmrdGeometry, position), vector);
  h.H5Tinsert(compound, "read_dir", offset + offsetof(IsmrmrdGeometry, read), vector);
  h.H5Tinsert(compound, "phase_dir", offset + offsetof(IsmrmrdGeometry, phase), vector);
  h.H5Tinsert(compound, "slice_dir", offset + offsetof(IsmrmrdGeometry, slice), vector);
}

std::string inside_tags(const std::string& xml, const std::vector<std::string>& path) {
  size_t begin = 0, end = xml.size();
  for (const std::string& name : path) {
    size_t open = xml.find("<" + name, begin);
    // <x> or <x attribute="...">, not <xy>
    while (open < end && open + name.size() + 1 < end &&
           std::string_view("> \t\r\n").find(xml[open + name.size() + 1]) == std::string_view::npos)
      open = xml.find("<" + name, open + 1);
    if (open >= end) return "";
    const size_t first = xml.find('>', open);
    if (first >= end) return "";
    const size_t close = xml.find("</" + name + ">", first);
    if (close == std::string::npos || close > end) return "";
    begin = first + 1;
    end = close;
  }
  while (begin < end && std::isspace(static_cast<unsigned char>(xml[begin])) != 0) ++begin;
  while (end > begin && std::isspace(static_cast<unsigned char>(xml[end - 1])) != 0) --end;
  return xml.substr(begin, end - begin);
}

std::optional<int64_t> ismrmrd_slices(const std::string& xml) {
  const auto last = whole_in(xml, {"encoding", "encodingLimits", "slice", "maximum"});
  return last ? std::optional(*last + 1) : std::nullopt;
}

int64_t ismrmrd_planes(const std::string& xml) {
  return whole_in(xml, {"encoding", "encodedSpace", "matrixSize", "z"}).value_or(1);
}

std::vector<double> spacing_of_ismrmrd(const std::string& xml, const char* space) {
  std::vector<double> result;
  for (const char* axis : {"y", "x"}) {
    const auto size = whole_in(xml, {"encoding", space, "matrixSize", axis});
    const std::string text = inside_tags(xml, {"encoding", space, "fieldOfView_mm", axis});
    double field = 0;
    std::from_chars(text.data(), text.data() + text.size(), field);
    if (!size || *size < 1 || !(field > 0 && std::isfinite(field))) return {};
    result.push_back(field / static_cast<double>(*size));
  }
  return result;
}

bool is_ismrmrd(const Hdf5File& file) {
  const Hdf5& h = file.api;
  if (h.H5Lexists(file.id, "dataset", H5P_DEFAULT) <= 0 ||
      h.H5Lexists(file.id, "dataset/xml", H5P_DEFAULT) <= 0 ||
      h.H5Lexists(file.id, "dataset/data", H5P_DEFAULT) <= 0)
    return false;
  const Hdf5Id dataset(h, h.H5Dopen2(file.id, "dataset/data", H5P_DEFAULT));
  if (!dataset.ok()) return false;
  const Hdf5Id type(h, h.H5Dget_type(dataset));
  return type.ok() && h.H5Tget_class(type) == H5T_COMPOUND && h.H5Tget_member_index(type, "head") >= 0;
}

void read_ismrmrd(const Hdf5File& file, bool mask, IsolatedReply& reply) {
  const std::string xml = read_hdf5_text_of(file, "dataset/xml");
  const Grid grid = measure(file, xml);
  const Shape shape = grid.shape(mask);
  const uint64_t item = mask ? 1 : sizeof(std::complex<float>);
  const uint64_t bytes = bytes_of({grid.lines(), mask ? 1 : grid.coils, grid.nx}, item, "hdf5");
  // Even far fewer lines than the matrix has are more than a thousandth of them.
  if (bytes / 1024 > file.size)
    throw Error("hdf5", fmt::format("truncated: {}, too few for shape {}", count_of_bytes(file.size),
                                    to_string(shape)));
  allow_memory(2 * bytes + file.size + (uint64_t{1} << 30));
  uint8_t* to = reply.set_size(bytes);
  std::vector<float> times(static_cast<size_t>(grid.lines()), 0);
  auto* kspace = reinterpret_cast<std::complex<float>*>(to);
  for_each_acquisition(file, [&](const Acquisition& a) {
    const int64_t line = grid.line(a.head.idx);
    times[static_cast<size_t>(line)] += 1;
    if (!mask) add_line(grid, a, kspace, line);
  });
  const int64_t of_coil = grid.nz * grid.ny;
  for (int64_t line = 0; line < grid.lines(); ++line) {
    const float count = times[static_cast<size_t>(line)];
    if (mask) std::fill_n(to + line * grid.nx, grid.nx, static_cast<uint8_t>(count > 0));
    for (int64_t c = 0; c < grid.coils && !mask && count > 1; ++c) {
      std::complex<float>* row =
          kspace + ((line / of_coil * grid.coils + c) * of_coil + line % of_coil) * grid.nx;
      std::transform(row, row + grid.nx, row, [=](std::complex<float> v) { return v / count; });
    }
  }
  reply.set_text(nlohmann::json{
      {"ismrmrd", true},
      {"dtype", mask ? "uint8" : "complex64"},
      {"shape", shape},
      {"units", ""},
      {"spacing", spacing_of_ismrmrd(xml, "encodedSpace")},
      {"affine", affine_of_grid(grid, xml)},
      {"header",
       xml}}.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace tweedie
