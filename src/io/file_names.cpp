#include "io/file_names.h"

#include "tweedie/error.h"

#include <algorithm>
#include <cctype>
#include <charconv>

namespace tweedie {

namespace fs = std::filesystem;

namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::tolower(c); });
  return text;
}

}  // namespace

std::string extension_of(const fs::path& path) {
  const std::string last = lower(path.extension().string());
  return last == ".gz" ? lower(path.stem().extension().string()) + last : last;
}

FileName file_name_of(const fs::path& path) {
  std::error_code ignored;
  if (fs::exists(path, ignored)) return {path, "", {}};
  const std::string text = path.string(), small = lower(text);
  for (const char* extension : {".npz:", ".h5:", ".hdf5:", ".mrd:", ".nc:", ".nc.gz:", ".cdf:"}) {
    const size_t at = small.rfind(extension);
    if (at == std::string::npos) continue;
    const size_t colon = small.find(':', at);
    return {text.substr(0, colon), text.substr(colon + 1), {}};
  }
  for (const char* extension : {".fits[", ".fit[", ".fits.gz["}) {
    const size_t at = small.rfind(extension);
    if (at == std::string::npos || text.back() != ']') continue;
    const size_t open = small.find('[', at);
    int64_t unit = 0;
    const char* end = text.data() + text.size() - 1;
    const auto [next, error] = std::from_chars(text.data() + open + 1, end, unit);
    if (error == std::errc() && next == end && unit >= 0) return {text.substr(0, open), "", unit};
  }
  return {path, "", {}};
}

FileFormat format_named(const fs::path& path) {
  constexpr std::pair<const char*, FileFormat> endings[] = {
      {".npy", FileFormat::npy},   {".png", FileFormat::png},   {".tif", FileFormat::tiff},
      {".tiff", FileFormat::tiff}, {".nii", FileFormat::nifti}, {".nii.gz", FileFormat::nifti},
      {".h5", FileFormat::hdf5},   {".hdf5", FileFormat::hdf5}, {".cfl", FileFormat::cfl},
      {".fits", FileFormat::fits}, {".fit", FileFormat::fits},  {".fits.gz", FileFormat::fits},
      {".raw", FileFormat::raw},   {".nc", FileFormat::netcdf}, {".cdf", FileFormat::netcdf},
  };
  const std::string extension = extension_of(file_name_of(path).file);
  for (const auto& [ending, format] : endings) {
    if (extension == ending) return format;
  }
  throw Error(
      path.string(),
      "can't be written: .npy, .png, .tif, .nii, .nii.gz, .h5, .cfl, .fits, .fits.gz, .nc or .raw is meant");
}

}  // namespace tweedie
