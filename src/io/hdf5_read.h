#pragma once
// What happens in the process that reads an HDF5 file.

#include "io/hdf5_library.h"
#include "io/isolated.h"
#include "io/numbers.h"

#include <nlohmann/json.hpp>

#include <optional>

namespace tweedie {

struct Hdf5File {
  const Hdf5& api;
  hid_t id;
  uint64_t size;  // bytes of the file
};

// A fixed or variable string, or nothing; up to 512 KiB.
std::string read_hdf5_text(const Hdf5& h, hid_t type,
                           const std::function<herr_t(hid_t type, void* to)>& read);
std::string read_hdf5_text_of(const Hdf5File& file, const std::string& dataset);

// The reply's text is JSON: ismrmrd, dtype, shape, units, spacing, affine, header.
void read_hdf5_dataset(const Hdf5File& file, const std::string& inside, IsolatedReply& reply);

// ISMRMRD: acquisitions, and images, a group of data and header each (ismrmrd_image.cpp)
bool is_ismrmrd(const Hdf5File& file);
void read_ismrmrd(const Hdf5File& file, bool mask, IsolatedReply& reply);

struct IsmrmrdImage {
  std::vector<double> spacing;  // (y, x) or (z, y, x) in mm
  std::vector<double> affine;
};
// Of the data set "group/data" of this shape, or its element `index`, with its header beside it; nothing
// where that is no image of ISMRMRD.
std::optional<IsmrmrdImage> ismrmrd_image_of(const Hdf5File& file, const std::string& dataset,
                                             const Shape& shape, std::optional<int64_t> index);

// The members position, read_dir, phase_dir and slice_dir of a compound, an IsmrmrdGeometry at the offset
void insert_ismrmrd_geometry(const Hdf5& h, hid_t compound, size_t offset);

// mm along (..., y, x) of the reconstruction, or of "encodedSpace", that an ISMRMRD header in XML speaks of;
// empty where it doesn't
std::vector<double> spacing_of_ismrmrd(const std::string& xml, const char* space = "reconSpace");
// How many slices and planes (z) the header speaks of; a file need not say how many slices.
std::optional<int64_t> ismrmrd_slices(const std::string& xml);
int64_t ismrmrd_planes(const std::string& xml);
// What is between <name> and </name>, after the one before it was found
std::string inside_tags(const std::string& xml, const std::vector<std::string>& path);

}  // namespace tweedie
