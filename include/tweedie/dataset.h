#pragma once
// Samples to learn from, all in one float32 array.

#include "tweedie/density.h"
#include "tweedie/tensor.h"

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

// Shapes of x, and of how many samples train + test are made. All images are one channel.
enum class DataKind {
  file,           // of the user
  fashion_mnist,  // clothing, (1, 28, 28), 10 classes; 60,000 + 10,000
  digits,         // written by hand, (1, 8, 8), 10 classes; 1,437 + 360
  glyphs,         // characters of fonts, (1, size, size)
  faces,          // of the Labelled Faces in the Wild, (1, 25, 25); 80 + 20
  mri,            // axial slices of a T1-weighted head, (1, size, size); 144 + 32
  // The densities of tweedie/density.h, in their order: (2), as many as asked for
  eight_gaussians,
  grid_gaussians,
  s_curve,
  two_moons,
  rings,
  spiral,
  checkerboard,
  funnel
};
// Train and test have no sample in common. What is not split at its source is split 4 : 1, at random but
// always alike; the slices of mri in blocks of 16 and 4; densities have independent draws in both.
enum class DataSplit { train, test };

struct DataOptions {
  DataKind kind = DataKind::file;
  // kind file: whatever read_array reads, its first axis the samples. glyphs: a font, instead of a folder of
  // them. mri: a NIfTI-1 file (.nii, .nii.gz) of 3 axes, instead of that in `folder`.
  std::filesystem::path file;
  std::optional<std::filesystem::path> folder;  // of all but file and densities; where Debian puts it
  DataSplit split = DataSplit::train;           // of all but file

  // kind file
  std::filesystem::path labels;         // (N), whatever read_array reads
  std::optional<int64_t> label_column;  // of (N, C), from 0, < 0: from the end: the labels, not part of x
  Shape shape;                          // of one sample, whose numbers it orders; as in the file when empty

  int64_t count = 50000;                                   // densities: how many samples, >= 1
  uint64_t seed = 0;                                       // densities: which
  std::optional<int64_t> size;                             // pixels of a side, 8 .. 512; glyphs: 32, mri: 64
  std::vector<int64_t> characters = {'A', 'Z', 'a', 'z'};  // glyphs: first and last code point of each range

  // The range of the data, both or neither. Pixels are scaled to it, to [-1, 1] where it is not given. Other
  // floats are never scaled and must lie in it; where it is not given it is their smallest and largest value.
  std::optional<double> low, high;
};

struct Dataset {
  Tensor x;       // (N, *shape) float32; images have a channel axis: (N, C, H, W)
  Tensor labels;  // (N) int64, 0 .. 1,000,000; undefined where there are none
  double low = -1, high = 1;
  std::string name;
  uint32_t crc = 0;  // CRC-32 of the source, to tell whether a later run read the same
};

// The law that data of this kind are drawn from, where it is known
std::optional<Density> density_of(DataKind kind);

// Error names the file, or the field as "data.low", and for a missing data set the package that brings it.
Dataset load_dataset(const DataOptions& options);

}  // namespace tweedie
