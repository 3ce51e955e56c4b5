#pragma once
// What happens in the process that writes an HDF5 file.

#include "io/hdf5_library.h"
#include "io/numbers.h"

#include <array>

namespace tweedie {

// The status, or Error
hid_t check_hdf5(hid_t status);
// Properties of a data set without the time: equal contents are equal files.
Hdf5Id timeless_dataset(const Hdf5& h);
// The attribute "units" of a data set; units: not empty
void write_hdf5_units(const Hdf5& h, hid_t file, const std::string& dataset, const std::string& units);
// parts: what the real and the imaginary part of a complex number are called
Hdf5Id hdf5_type(const Hdf5& h, const NumberType& type, const std::array<const char*, 2>& parts);

// Whether ISMRMRD has images of this shape and type
bool has_ismrmrd_image(const Tensor& x, const StoredNumbers& numbers, const ArrayMeta& meta);
// dataset/xml, and dataset/NAME of (..., y, x): data (images, 1, 1, y, x), a header and a text for each image
void write_ismrmrd_image(const Hdf5& h, hid_t file, const Shape& shape, const StoredNumbers& numbers,
                         const ArrayMeta& meta, const std::string& name);

}  // namespace tweedie
