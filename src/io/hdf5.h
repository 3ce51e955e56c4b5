#pragma once
// HDF5 (support.hdfgroup.org) by libhdf5, in a process of its own: damaged files crash the library. The files
// of fastMRI (Zbontar et al. 2018) are of this kind: kspace (slices, coils, H, W) complex,
// reconstruction_rss, ismrmrd_header. So are those of ISMRMRD (Inati et al. 2017), whose acquisitions are put
// together to k-space.

#include "io/bytes.h"
#include "tweedie/file_format.h"

namespace tweedie {

bool is_hdf5(ByteView bytes);

// inside: the data set, "kspace" or "group/name"; "kspace[3]" is its element 3 along the first axis. Where it
// is empty, the only data set there is. Types as of NPY; enumerations of one byte are uint8; pairs of floats
// called r and i, or real and imag, are complex. In a file of ISMRMRD, without a name or with "mask", the
// Cartesian k-space (slices, repetitions, coils, kz, ky, kx) complex64, averaged where a line was read again
// and 0 where none was, or 1 and 0 (slices, repetitions, kz, ky, kx) uint8 for where it was read; axes of
// slices, repetitions and kz only where there are several. Error(path) lists the data sets where inside is
// none of them.
ArrayData read_hdf5(const std::filesystem::path& path, const std::string& inside);

// One data set, "data" unless inside names another, with units as its attribute, and ismrmrd_header where
// meta has it; in the format ismrmrd, images (..., y, x) with their headers.
Bytes encode_hdf5(const Tensor& x, const ArrayMeta& meta, const std::string& inside,
                  const std::string& place);

}  // namespace tweedie
