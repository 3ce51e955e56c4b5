#include "io/hdf5.h"

#include "core/shape.h"
#include "io/hdf5_read.h"
#include "io/nifti.h"
#include "io/tensors.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>

namespace tweedie {

namespace {

void read_in_child(const Hdf5& library, const std::filesystem::path& path, uint64_t size,
                   const std::string& inside, IsolatedReply& reply) {
  ::setenv("HDF5_USE_FILE_LOCKING", "FALSE", 1);  // which folders that can't be written to refuse
  constexpr unsigned read_only = 0;               // H5F_ACC_RDONLY, whose macro would call the library
  if (library.H5open() < 0) throw Error("hdf5", "libhdf5 can't be started", ErrorKind::resources);
  library.H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  const Hdf5File file{library, library.H5Fopen(path.c_str(), read_only, H5P_DEFAULT), size};
  if (file.id < 0) throw Error("hdf5", "can't be opened as HDF5: damaged or cut short");
  const bool mask = inside == "mask";
  if ((inside.empty() || mask) && is_ismrmrd(file)) return read_ismrmrd(file, mask, reply);
  read_hdf5_dataset(file, inside, reply);
}

}  // namespace

bool is_hdf5(ByteView bytes) {
  using namespace std::string_view_literals;
  return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size())
      .starts_with("\x89HDF\r\n\x1a\n"sv);
}

ArrayData read_hdf5(const std::filesystem::path& path, const std::string& inside) {
  const std::string place = inside.empty() ? path.string() : path.string() + ":" + one_line(inside);
  const Hdf5& library = Hdf5::library(path.string());
  std::error_code error;
  const uint64_t size = std::filesystem::file_size(path, error);
  if (error) throw Error(path.string(), "can't be read: " + error.message());
  ArrayData result;
  run_isolated(
      place, "is damaged: libhdf5 breaks down on it",
      {.memory = (uint64_t{1} << 30) + 4 * size, .seconds = 10 + size / (10 << 20)},
      [&](IsolatedReply& reply) { read_in_child(library, path, size, inside, reply); },
      [&](const IsolatedReply& reply) {
        const auto found = nlohmann::json::parse(reply.text(), nullptr, /*allow_exceptions=*/false);
        if (found.is_discarded()) throw Error(place, "is damaged: what it says of itself can't be read");
        ArrayMeta& meta = result.meta;
        meta.format = found.at("ismrmrd") ? FileFormat::ismrmrd : FileFormat::hdf5;
        meta.dtype = found.at("dtype");
        meta.shape = found.at("shape").get<Shape>();
        meta.units = found.at("units");
        meta.spacing = found.at("spacing").get<std::vector<double>>();
        if (!meta.spacing.empty()) meta.spacing_units = "mm";
        meta.affine = found.at("affine").get<std::vector<double>>();
        meta.orientation = orientation_of(meta.affine);
        meta.header = found.at("header");
        // uint16 and uint32 arrive in the wider type that libtorch has.
        const NumberType* type = find_number_type(meta.dtype);
        result.values = tensor_from(reply.numbers(), type->result, meta.shape);
      });
  return result;
}

}  // namespace tweedie
