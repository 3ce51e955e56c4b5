#pragma once
// Any array that the program reads, from any of the files it knows.

#include "io/bytes.h"

#include <optional>

namespace tweedie {

struct ArrayFile {
  Tensor values;                // as stored; images (C, H, W), a folder of them (N, C, H, W)
  std::optional<double> white;  // of images: the largest value that a pixel can have
  uint32_t crc = 0;             // CRC-32 of the source's bytes, of a folder's files one after the other
};

// NPY, NPZ ("file.npz:key"), IDX, CSV (.csv), PNG and JPEG by their first bytes, each also in gzip; or a
// folder of PNG and JPEG, in the order of their names. finite: refuse NaN and infinity.
ArrayFile read_array_file(const std::filesystem::path& path, bool finite = true);

}  // namespace tweedie
