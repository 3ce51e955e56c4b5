#include "tweedie/file_format.h"

#include <algorithm>

namespace tweedie {

std::string extension_for(FileFormat format, at::IntArrayRef shape) {
  const auto axes = static_cast<int64_t>(shape.size());
  const int64_t channels = axes >= 3 ? shape[axes - 3] : 1;
  const bool picture = (axes == 2 || axes == 3) && channels >= 1 && channels <= 4;
  switch (format) {
    case FileFormat::npy:
    case FileFormat::npz:
    case FileFormat::idx:
    case FileFormat::csv:
      return ".npy";
    case FileFormat::png:
    case FileFormat::jpeg:
      return picture ? ".png" : "";
    case FileFormat::tiff:
      return picture || (axes == 4 && channels <= 4) ? ".tif" : "";
    case FileFormat::nifti:
      return axes >= 1 && axes <= 7 ? ".nii.gz" : "";
    case FileFormat::hdf5:
    case FileFormat::ismrmrd:
      return ".h5";
    case FileFormat::cfl:
      return axes <= 16 ? ".cfl" : "";
    case FileFormat::fits:
      return axes >= 1 && axes <= 16 ? ".fits" : "";
    case FileFormat::netcdf:
      return axes >= 1 && axes <= 16 ? ".nc" : "";
    case FileFormat::raw:
      return ".raw";
  }
  return "";
}

bool on_grid_of(const ArrayMeta& meta, at::IntArrayRef shape) {
  // Axes that are in space: those with a spacing, at least the last two of an image
  size_t axes = std::max<size_t>(meta.spacing.size(), 2);
  axes = std::min(axes, meta.shape.size());
  if (axes == 0 || shape.size() < axes) return false;
  return std::equal(meta.shape.end() - static_cast<std::ptrdiff_t>(axes), meta.shape.end(),
                    shape.end() - axes);
}

}  // namespace tweedie
