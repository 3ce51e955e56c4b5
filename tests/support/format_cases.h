#pragma once
// Numbers and bytes that the tests of file formats share.

#include "check_tensor.h"
#include "support/broken_files.h"
#include "support/temporary_folder.h"

#include <filesystem>

namespace tweedie::test {

inline Bytes bytes_at(const std::filesystem::path& path) {
  return to_bytes(read_text(path));
}

// From least to most, both of which are among them
inline Tensor whole_numbers(const Shape& shape, int64_t least, int64_t most) {
  const Tensor u = Noise(3).uniform(shape, at::kDouble);
  Tensor x = (u * static_cast<double>(most - least + 1)).floor() + static_cast<double>(least);
  x.view({-1})[0] = static_cast<double>(least);
  x.view({-1})[1] = static_cast<double>(most);
  return x;
}

}  // namespace tweedie::test
