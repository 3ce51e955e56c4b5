#pragma once
// Any array that the program reads, from any of the files it knows.

#include "io/bytes.h"
#include "tweedie/file_format.h"

#include <optional>

namespace tweedie {

struct ArrayFile {
  Tensor values;                // as stored; images (C, H, W), a folder of them (N, C, H, W)
  std::optional<double> white;  // of images: the largest value that a pixel can have
  uint32_t crc = 0;             // CRC-32 of the source's bytes, of a folder's files one after the other
  ArrayMeta meta{};             // what the file says beside the numbers
};

// NPY, NPZ ("file.npz:key"), IDX, CSV (.csv), PNG, JPEG, TIFF, NIfTI, FITS ("file.fits[1]") and NetCDF
// ("file.nc:name") by their first bytes, each also in gzip; HDF5 and ISMRMRD ("file.h5:kspace",
// "file.h5:kspace[3]"), of which the CRC is that of the numbers; BART's pairs, by either name or without an
// ending; whatever has a sidecar FILE.toml; or a folder of PNG, JPEG and TIFF, in the order of their names.
// finite: refuse NaN and infinity.
ArrayFile read_array_file(const std::filesystem::path& path, bool finite = true);

}  // namespace tweedie
