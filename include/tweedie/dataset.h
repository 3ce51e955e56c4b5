#pragma once
// Samples to learn from, all in one float32 array.

#include "tweedie/tensor.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

namespace tweedie {

enum class DataKind { file, fashion_mnist };
enum class DataSplit { train, test };

struct DataOptions {
  DataKind kind = DataKind::file;
  std::filesystem::path file;  // kind file: whatever read_array reads, its first axis the samples
  std::filesystem::path folder = "/usr/share/datasets/fashion-mnist";  // kind fashion_mnist: the IDX files
  DataSplit split = DataSplit::train;                                  // kind fashion_mnist: 60,000 or 10,000
  // The range of the data, both or neither. Integer pixels are scaled to it, to [-1, 1] where it is not
  // given. Floats are never scaled and must lie in it; where it is not given it is their smallest and largest
  // value.
  std::optional<double> low, high;
};

struct Dataset {
  Tensor x;       // (N, *shape) float32; images have a channel axis: (N, C, H, W)
  Tensor labels;  // (N) int64, undefined where there are none
  double low = -1, high = 1;
  std::string name;
  uint32_t crc = 0;  // CRC-32 of the source, to tell whether a later run read the same
};

// Error names the file, or the field as "data.low", and for a missing data set the package that brings it.
Dataset load_dataset(const DataOptions& options);

}  // namespace tweedie
