#include "io/array_file.h"

#include "core/shape.h"
#include "io/cfl.h"
#include "io/csv.h"
#include "io/file_names.h"
#include "io/fits.h"
#include "io/hdf5.h"
#include "io/idx.h"
#include "io/image.h"
#include "io/netcdf.h"
#include "io/nifti.h"
#include "io/npy.h"
#include "io/npz.h"
#include "io/numbers.h"
#include "io/raw.h"
#include "io/tensors.h"
#include "io/tiff.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <fstream>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

bool starts_with(ByteView bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool is_picture(const std::string& extension) {
  return extension == ".png" || extension == ".jpg" || extension == ".jpeg" || extension == ".tif" ||
         extension == ".tiff";
}

std::string dtype_of(const Tensor& x) {
  if (x.scalar_type() == at::kBool) return "bool";
  for (const NumberType& type : number_types) {
    if (type.result == x.scalar_type() && type.stored == type.result) return std::string(type.name);
  }
  return "";
}

ArrayFile in_format(FileFormat format, Tensor values) {
  ArrayFile result{std::move(values), {}, 0};
  result.meta.format = format;
  return result;
}

ArrayFile with_meta(ArrayData data) {
  ArrayFile result{std::move(data.values), {}, 0};
  result.meta = std::move(data.meta);
  if (result.meta.white > 0) result.white = result.meta.white;
  return result;
}

ArrayFile picture(ByteView bytes, const std::string& place) {
  if (is_tiff(bytes)) return with_meta(parse_tiff(bytes, place));
  const Image image = parse_image(bytes, place);
  ArrayFile result = in_format(is_png(bytes) ? FileFormat::png : FileFormat::jpeg, image.pixels);
  result.white = result.meta.white = image.white;
  result.meta.dtype = image.white > 255 ? "uint16" : "uint8";
  return result;
}

ArrayFile parse(ByteView bytes, const fs::path& path, const FileName& name, bool finite) {
  const std::string place = path.string();
  const std::string extension = extension_of(path.extension() == ".gz" ? path : path.filename());
  if (bytes.empty()) throw Error(place, "is empty");
  if (is_gzip(bytes)) {
    const Bytes unpacked = gunzip(bytes, place);
    if (is_gzip(unpacked)) throw Error(place, "is in gzip twice");
    const fs::path inner = extension.ends_with(".gz") ? fs::path(path).replace_extension() : path;
    try {
      return parse(unpacked, inner, name, finite);
    } catch (const Error& error) {
      if (inner == path || error.place() != inner.string()) throw;
      throw Error(place, std::string(error.what()).substr(error.place().size() + 2), error.kind());
    }
  }
  if (starts_with(bytes, "PK\x03\x04") || extension == ".npz")
    return in_format(FileFormat::npz, parse_npz(bytes, name.inside, place));
  if (starts_with(bytes, "\x93NUMPY") || extension == ".npy")
    return in_format(FileFormat::npy, parse_npy(bytes, place));
  if (is_nifti(bytes) || extension == ".nii") return with_meta(parse_nifti_data(bytes, place));
  if (is_fits(bytes) || extension == ".fits" || extension == ".fit")
    return with_meta(parse_fits(bytes, name.unit, place));
  if (is_netcdf(bytes) || extension == ".nc") return with_meta(parse_netcdf(bytes, name.inside, place));
  if (is_png(bytes) || is_jpeg(bytes) || is_tiff(bytes) || is_picture(extension))
    return picture(bytes, place);
  if (extension == ".csv") return in_format(FileFormat::csv, parse_csv(bytes, place, finite));
  if (bytes.size() >= 4 && bytes[0] == 0 && bytes[1] == 0)
    return in_format(FileFormat::idx, parse_idx(bytes, place));
  throw Error(place,
              "no array that is known; NPY, NPZ, IDX, .csv, PNG, JPEG, TIFF, NIfTI, HDF5, ISMRMRD, BART's "
              ".cfl, FITS, NetCDF, "
              "numbers with a sidecar FILE.toml, or a folder of images is meant");
}

ArrayFile read_folder(const fs::path& folder) {
  std::vector<fs::path> files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    if (is_picture(extension_of(entry.path())) && entry.path().filename().string()[0] != '.')
      files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  if (files.empty()) throw Error(folder.string(), "holds no .png, .jpg, .jpeg or .tif");

  ArrayFile result;
  std::vector<Tensor> images;
  for (const fs::path& file : files) {
    const Bytes bytes = read_bytes(file);
    result.crc = crc32_of(bytes, result.crc);
    ArrayFile image = picture(bytes, file.string());
    if (!images.empty() && image.values.sizes() != images[0].sizes()) {
      throw Error(file.string(), fmt::format("shape {}, but {} has {}; all images of a folder need the same",
                                             to_string(image.values.sizes()), files[0].filename().string(),
                                             to_string(images[0].sizes())));
    }
    if (!images.empty() && image.meta.dtype != result.meta.dtype) {
      throw Error(file.string(), fmt::format("numbers of {}, but {} has {}", image.meta.dtype,
                                             files[0].filename().string(), result.meta.dtype));
    }
    result.white = image.white;
    result.meta = std::move(image.meta);
    images.push_back(image.values);
  }
  result.values = stacked(images);
  return result;
}

}  // namespace

namespace {

// Its first bytes, without reading all of it
Bytes start_of(const fs::path& file) {
  Bytes bytes(16);
  std::ifstream stream(file, std::ios::binary);
  stream.read(reinterpret_cast<char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
  bytes.resize(static_cast<size_t>(std::max<std::streamsize>(stream.gcount(), 0)));
  return bytes;
}

// Of values that came from more than one file, or from part of one
ArrayFile with_crc(ArrayData data) {
  ArrayFile result = with_meta(std::move(data));
  result.crc = crc32_of(view_of(result.values));
  return result;
}

ArrayFile read_named(const FileName& name, bool finite) {
  std::error_code ignored;
  const bool exists = fs::exists(name.file, ignored);
  const fs::path pair = name.file.string() + ".cfl";
  if (!exists && fs::exists(pair, ignored)) return with_crc(read_cfl(pair));
  const std::string extension = extension_of(name.file);
  const Bytes start = exists ? start_of(name.file) : Bytes();
  if (extension == ".cfl" || (extension == ".hdr" && is_cfl_header(start)))
    return with_crc(read_cfl(name.file));
  if (is_hdf5(start)) return with_crc(read_hdf5(name.file, name.inside));
  if (exists && fs::exists(sidecar_of(name.file), ignored)) return with_crc(read_raw(name.file));
  const Bytes bytes = read_bytes(name.file);
  ArrayFile result = parse(bytes, name.file, name, finite);
  result.crc = crc32_of(bytes);
  return result;
}

}  // namespace

ArrayFile read_array_file(const fs::path& path, bool finite) {
  std::error_code ignored;
  const bool folder = fs::is_directory(path, ignored);
  const FileName name = file_name_of(path);
  ArrayFile result = folder ? read_folder(path) : read_named(name, finite);
  const Tensor& x = result.values;
  if (result.meta.dtype.empty()) result.meta.dtype = dtype_of(x);
  if (result.meta.extension.empty()) result.meta.extension = extension_of(name.file);
  result.meta.shape = x.sizes().vec();
  if (finite) require_finite(x.data_ptr(), x.scalar_type(), x.sizes(), path.string());
  return result;
}

}  // namespace tweedie
