// What writes, each format by its own encoder.
#include "tweedie/file_format.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/cfl.h"
#include "io/file_names.h"
#include "io/fits.h"
#include "io/hdf5.h"
#include "io/image.h"
#include "io/netcdf.h"
#include "io/nifti.h"
#include "io/raw.h"
#include "io/tiff.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

// (H, W) or (C, H, W) -> (C, H, W)
Tensor planes_of(const Tensor& x) {
  return x.dim() == 2 ? x.unsqueeze(0) : x;
}

}  // namespace

void write_like(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta) {
  const FileName name = file_name_of(path);
  const std::string place = name.file.string();
  const auto write = [&](const Bytes& bytes) { write_atomically(name.file, ByteView(bytes)); };
  switch (meta.format) {
    case FileFormat::npy:
    case FileFormat::npz:
    case FileFormat::idx:
    case FileFormat::csv:
      return write_npy(name.file, x);
    case FileFormat::png:
    case FileFormat::jpeg:  // which would lose much of it
      return write(encode_png_planes(planes_of(x), meta.white > 255, place));
    case FileFormat::tiff:
      return write(encode_tiff(x, meta, place));
    case FileFormat::nifti:
      return write(encode_nifti(x, meta, place));
    case FileFormat::hdf5:
    case FileFormat::ismrmrd:
      return write(encode_hdf5(x, meta, name.inside, place));
    case FileFormat::cfl:
      return write_cfl(name.file, x, meta);
    case FileFormat::fits: {
      const Bytes bytes = encode_fits(x, meta, place);
      return write(place.ends_with(".gz") ? gzipped(bytes, place) : bytes);
    }
    case FileFormat::netcdf:
      return write(encode_netcdf(x, meta, name.inside, place));
    case FileFormat::raw:
      return write_raw(name.file, x, meta);
  }
}

}  // namespace tweedie
