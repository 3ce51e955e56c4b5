#pragma once
// Arrays from and to files.

#include "tweedie/tensor.h"

#include <filesystem>

namespace tweedie {

// One array, told by the file's first bytes or its ending: NPY, NPZ ("file.npz:key", the key only where there
// are several), IDX (.gz too), CSV -> (rows, columns) float64, PNG or JPEG -> (C, H, W), a folder of them ->
// (N, C, H, W). Values are as stored: uint8 from 8-bit images, float32 in [0, 65535] from 16-bit ones.
// Error(path) for a file that is missing, malformed or cut short, and for NaN and infinity.
Tensor read_array(const std::filesystem::path& path);

// NPY in C order, with the tensor's own dtype (float32/64, complex64/128, int8..64, uint8, bool). The file
// appears whole or not at all. Error(path) when it can't be written, of kind resources when the disk is full.
void write_npy(const std::filesystem::path& path, const Tensor& array);

}  // namespace tweedie
