#pragma once
// Configs of the operators of image_operators.h and sensing.h.

#include "tweedie/image_operators.h"
#include "tweedie/sensing.h"

#include <filesystem>

namespace tweedie {

struct CropOptions {
  static constexpr const char* kind = "crop";
  int64_t top = 0, left = 0, height = 1, width = 1;
};

struct BicubicOptions {
  static constexpr const char* kind = "bicubic";
  int64_t factor = 2;  // divides height and width
};

struct VaryingBlurOptions {
  static constexpr const char* kind = "varying-blur";
  std::filesystem::path kernels{};  // (rows of kernels, columns of kernels, kh, kw)
  Boundary boundary = Boundary::circular;
};

struct DecolourOptions {
  static constexpr const char* kind = "decolour";
  std::vector<double> weights{0.299, 0.587, 0.114};  // of the channels: luma of ITU-R BT.601
};

struct ColourOptions {
  static constexpr const char* kind = "colour";
  std::filesystem::path matrix{};  // (k, C)
};

struct WaveletOptions {
  static constexpr const char* kind = "wavelet";
  Wavelet wavelet = Wavelet::haar;
  int64_t levels = 2;  // 2^levels divides the axes
};

struct DifferencesOptions {
  static constexpr const char* kind = "differences";
  Edge edge = Edge::replicate;
};

struct SparseOptions {
  static constexpr const char* kind = "sparse";
  std::filesystem::path matrix{};  // (m, d): .npz of scipy.sparse.save_npz, in rows (csr) or columns (csc)
};

struct CompressedSensingOptions {
  static constexpr const char* kind = "compressed-sensing";
  enum class Matrix { gaussian, hadamard, dct };
  Matrix matrix = Matrix::gaussian;
  int64_t measurements = 1;
  bool random_signs = true;  // hadamard and dct: of x, before the transform
  uint64_t seed = 0;         // of the matrix, which is a function of it
};

}  // namespace tweedie
