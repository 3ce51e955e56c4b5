#pragma once
// Names of arrays: a file, and where there are several arrays in it, which.

#include "tweedie/file_format.h"

#include <filesystem>
#include <optional>
#include <string>

namespace tweedie {

struct FileName {
  std::filesystem::path file;
  std::string inside;           // "file.npz:key", "file.h5:data/set"
  std::optional<int64_t> unit;  // "file.fits[1]"
};

// The whole path is the file's name where there is such a file.
FileName file_name_of(const std::filesystem::path& path);

// In lower case, with what is before .gz: ".nii.gz"
std::string extension_of(const std::filesystem::path& path);

// Of a file that is to be written, by its ending; Error(path) for an ending that is not known.
FileFormat format_named(const std::filesystem::path& path);

}  // namespace tweedie
