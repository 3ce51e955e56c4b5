#pragma once
// What a non-uniform transform of one image needs, made once: kernels, grids, transforms.

#include "kernel/gridding.h"
#include "operator/image_planes.h"
#include "tweedie/nufft.h"

#include <memory>
#include <vector>

namespace tweedie {

// Images of height x width and points (m, 2) float64 in cycles per pixel
template <class Value>
class NufftPlan {
 public:
  NufftPlan(const Tensor& points, int64_t height, int64_t width, const NufftSettings& settings);

  // y (m, 2) = A (factor x), factor null for 1
  void forward(PlanesOf<const Value> x, PlanesOf<const Value> factor, Value* y) const;
  // x = conj(factor) A^H y, its real part when x.im is null
  void adjoint(const Value* y, PlanesOf<const Value> factor, PlanesOf<Value> x) const;

 private:
  NufftPlan(const Tensor& points, int64_t height, int64_t width, const GridKernel& kernel, int64_t rows,
            int64_t columns);

  int64_t height_, width_;
  FourierLines<Value> rows_, columns_;  // of the grid: lines of its width, and of its height
  Gridding<Value> gridding_;
  std::vector<Value> vertical_, horizontal_;  // 1 / the kernel's transform, and (H W)^{-1/2}
};

// A^T A as a convolution
template <class Value>
class NufftConvolution {
 public:
  NufftConvolution(const Tensor& points, int64_t height, int64_t width, const NufftSettings& settings);

  // out = conj(factor) A^H A factor x
  void apply(PlanesOf<const Value> x, PlanesOf<const Value> factor, PlanesOf<Value> out) const;

 private:
  int64_t height_, width_;
  FourierLines<Value> rows_, columns_;
  std::vector<Value> spectrum_;  // (rows, columns), real
};

}  // namespace tweedie
