#pragma once
// Arrays from and to files.

#include "tweedie/tensor.h"

#include <filesystem>

namespace tweedie {

// One array, told by the file's first bytes or its ending: NPY, NPZ ("file.npz:key", the key only where there
// are several), IDX, CSV -> (rows, columns) float64, PNG or JPEG -> (C, H, W), TIFF -> (C, H, W) or, of
// several pages, (N, C, H, W), NIfTI -> (..., z, y, x), FITS ("file.fits[1]") -> (..., NAXIS2, NAXIS1),
// NetCDF ("file.nc:name"), HDF5 ("file.h5:name") and ISMRMRD, BART's .cfl, axes reversed and those of 1 left
// out; numbers with a sidecar FILE.toml; a folder of pictures -> (N, C, H, W). Values are as stored, or as
// the file scales them: uint8 from 8-bit images, float32 in [0, 65535] from 16-bit ones. Complex numbers stay
// complex. Error(path) for a file that is missing, malformed or cut short, and for NaN and infinity.
// tweedie/file_format.h has what a file says beside the numbers.
Tensor read_array(const std::filesystem::path& path);

// NPY in C order, with the tensor's own dtype (float32/64, complex64/128, int8..64, uint8, bool). The file
// appears whole or not at all. Error(path) when it can't be written, of kind resources when the disk is full.
void write_npy(const std::filesystem::path& path, const Tensor& array);

}  // namespace tweedie
