#pragma once
// 3 x 3 convolutions by Winograd's minimal filtering F(4 x 4, 3 x 3): Lavin & Gray, "Fast algorithms for
// convolutional neural networks", CVPR 2016, section 4.3. 36 products give 16 outputs that cost 144 directly.
//
//   Y = A^T [ (G g G^T) . (B^T d B) ] A        for 6 x 6 inputs d and 4 x 4 outputs Y
//
// The products of all tiles and channels are 36 matrix products, one for each of the 36 points of a
// transformed tile. Rounding errors are about ten times those of the direct sum in float32.

#include "kernel/image.h"
#include "kernel/product.h"

#include <cstdint>
#include <vector>

namespace tweedie {

constexpr int64_t winograd_points = 36;

// The 3 x 3 kernels of one layer, transformed to G g G^T: matrices (in x out) for each point, cut into panels
// of 32 outputs.
class WinogradKernel {
 public:
  // weight: (out, 3, 3, in), as channels-last memory has it
  static WinogradKernel forward(const float* weight, int64_t out, int64_t in);
  // of the transposed convolution, from out to in channels
  static WinogradKernel adjoint(const float* weight, int64_t out, int64_t in);

  int64_t in() const { return in_; }
  int64_t out() const { return out_; }
  // Outputs `begin` to `begin` + 32, begin a multiple of 32
  PanelMatrix panel(int64_t begin, int64_t point) const {
    const int64_t panel = begin / panel_columns * winograd_points + point;
    return {values_.data() + panel * in_ * panel_columns, panel_columns, 0};
  }

 private:
  WinogradKernel(int64_t in, int64_t out);
  int64_t in_, out_;
  AlignedFloats values_;
};

// How an image is cut into tiles of 4 x 4 outputs. Tiles are read from a padded copy: a border of one zero
// around the image, and more zeros until the tiles are full.
struct TileGrid {
  int64_t height, width;  // of the image

  int64_t down() const { return (height + 3) / 4; }
  int64_t across() const { return (width + 3) / 4; }
  int64_t tiles() const { return down() * across(); }
  int64_t padded_height() const { return 4 * down() + 2; }
  int64_t padded_width() const { return 4 * across() + 2; }
  int64_t padded_pixels() const { return padded_height() * padded_width(); }
};

// Tiles `begin` to `end` of one image.
struct TileRange {
  TileGrid grid;
  int64_t begin, end;
  int64_t count() const { return end - begin; }
};

// Transformed tiles: point p of tile n at data[p * point + n * lanes].
struct Transformed {
  float* data;
  int64_t lanes, point;
  Transformed from(int64_t tile) const { return {data + tile * lanes, lanes, point}; }
};
// For `tiles` tiles; more than they take, since distances of powers of two would share few lines of the cache
constexpr int64_t point_stride(int64_t tiles, int64_t lanes) {
  return tiles * lanes + 16;
}

// Zero everything of a padded image outside the image, which lies at its pixel (1, 1).
void zero_border(const TileGrid& grid, int64_t lanes, float* padded);
// B^T d B. padded: (padded_height, padded_width, lanes)
void transform_inputs(const TileRange& range, const float* padded, Transformed to);
// A y A^T of the 4 x 4 parts of a padded image: the adjoint of the outputs' transform.
void transform_output_gradients(const TileRange& range, const float* padded, Transformed to);
// Channels `begin` to `begin` + from.lanes of y = A^T m A + bias (+ addend), images of `lanes`. bias (of
// those channels), addend: or null.
void transform_outputs(const TileRange& range, Transformed from, int64_t lanes, int64_t begin,
                       const float* bias, const float* addend, float* y);

// G^T u G of sums of products u (36, out, in_lanes), points `point` apart, added to the gradient
// (out, 3, 3, in).
void add_kernel_gradient(const float* products, int64_t point, int64_t out, int64_t in, float* gradient);

}  // namespace tweedie
