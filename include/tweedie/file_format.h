#pragma once
// What a file says of its array beside the numbers, and how a result is written the way its input was.

#include "tweedie/tensor.h"

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace tweedie {

enum class FileFormat { npy, npz, idx, csv, png, jpeg, tiff, nifti, hdf5, ismrmrd, cfl, fits, netcdf, raw };
constexpr auto names(FileFormat) {
  return std::array{"npy",   "npz",  "idx",     "csv", "png",  "jpeg",   "tiff",
                    "nifti", "hdf5", "ismrmrd", "cfl", "fits", "netcdf", "raw"};
}

struct ArrayMeta {
  FileFormat format = FileFormat::npy;
  std::string extension{};          // of such files, in lower case: ".nii.gz"
  std::string dtype{};              // of the numbers in the file: "uint16", "float32", "complex64"
  double slope = 1, intercept = 0;  // value = slope * number + intercept
  double white = 0;                 // of pictures: the largest number that a pixel can have; 0: no picture
  std::string units{};              // of the values, as the file spells it: "HU", "adu"
  Shape shape{};                    // of the array as it was read
  std::vector<double> spacing{};  // of grid points along the last axes of the array, (z, y, x); may be empty
  std::string spacing_units{};    // "mm"
  std::vector<double> affine{};   // empty, or a 3 x 4 matrix: (x, y, z, 1), counted from 0, to mm of RAS+
  std::string orientation{};      // where x, y and z of the affine point to: "RAS"
  std::string header{};           // what else the format needs to write a file like it; its own affair
};

struct ArrayData {
  Tensor values;
  ArrayMeta meta;
};

// As read_array of tweedie/array_io.h, with what the file says of it.
ArrayData read_array_data(const std::filesystem::path& path);

// Which files a format has for an array of this shape: "" when it has none for such a shape.
std::string extension_for(FileFormat format, at::IntArrayRef shape);

// Writes x in the format of `meta`, with its units, and with its spacing and orientation where the last axes
// of x are as long as those of meta.shape. Numbers are of meta.dtype where x fits it exactly, else float32 or
// complex64 (pictures: rounded and clipped to what their pixels can have). The file, or the file and its
// sidecar, appear whole or not at all. Error(path) where the format has no room for such an array.
void write_like(const std::filesystem::path& path, const Tensor& x, const ArrayMeta& meta);

// Whether the last axes of shape, as many as the grid of `meta` has, are of its size: whether orientation
// holds.
bool on_grid_of(const ArrayMeta& meta, at::IntArrayRef shape);

}  // namespace tweedie
