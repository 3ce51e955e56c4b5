#include "kernel/winograd.h"

#include <algorithm>
#include <array>

namespace tweedie {

namespace {

// B^T d
TWEEDIE_INLINE void input_transform(const Lanes16* d, int64_t stride, Lanes16* out, int64_t out_stride) {
  const Lanes16 d0 = d[0], d1 = d[stride], d2 = d[2 * stride], d3 = d[3 * stride], d4 = d[4 * stride],
                d5 = d[5 * stride];
  const Lanes16 even = d4 - 4.0f * d2, odd = d3 - 4.0f * d1;
  const Lanes16 even2 = d4 - d2, odd2 = 2.0f * (d3 - d1);
  out[0] = 4.0f * d0 - 5.0f * d2 + d4;
  out[out_stride] = even + odd;
  out[2 * out_stride] = even - odd;
  out[3 * out_stride] = even2 + odd2;
  out[4 * out_stride] = even2 - odd2;
  out[5 * out_stride] = 4.0f * d1 - 5.0f * d3 + d5;
}

// A^T m
TWEEDIE_INLINE void output_transform(const Lanes16* m, int64_t stride, Lanes16* out, int64_t out_stride) {
  const Lanes16 sum1 = m[stride] + m[2 * stride], difference1 = m[stride] - m[2 * stride];
  const Lanes16 sum2 = m[3 * stride] + m[4 * stride], difference2 = m[3 * stride] - m[4 * stride];
  out[0] = m[0] + sum1 + sum2;
  out[out_stride] = difference1 + 2.0f * difference2;
  out[2 * out_stride] = sum1 + 4.0f * sum2;
  out[3 * out_stride] = difference1 + 8.0f * difference2 + m[5 * stride];
}

// A y
TWEEDIE_INLINE void gradient_transform(const Lanes16* y, int64_t stride, Lanes16* out, int64_t out_stride) {
  const Lanes16 y0 = y[0], y1 = y[stride], y2 = y[2 * stride], y3 = y[3 * stride];
  const Lanes16 even = y0 + y2, odd = y1 + y3, even2 = y0 + 4.0f * y2, odd2 = 2.0f * y1 + 8.0f * y3;
  out[0] = y0;
  out[out_stride] = even + odd;
  out[2 * out_stride] = even - odd;
  out[3 * out_stride] = even2 + odd2;
  out[4 * out_stride] = even2 - odd2;
  out[5 * out_stride] = y3;
}

// G g
TWEEDIE_INLINE void kernel_transform(const Lanes16* g, int64_t stride, Lanes16* out, int64_t out_stride) {
  const Lanes16 g0 = g[0], g1 = g[stride], g2 = g[2 * stride];
  const Lanes16 sum = (g0 + g2) * (-1 / 6.0f), middle = g1 * (1 / 6.0f);
  const Lanes16 sum2 = g0 * (1 / 24.0f) + g2 * (1 / 6.0f), middle2 = g1 * (1 / 12.0f);
  out[0] = g0 * 0.25f;
  out[out_stride] = sum - middle;
  out[2 * out_stride] = sum + middle;
  out[3 * out_stride] = sum2 + middle2;
  out[4 * out_stride] = sum2 - middle2;
  out[5 * out_stride] = g2;
}

// G^T u
TWEEDIE_INLINE void kernel_adjoint(const Lanes16* u, int64_t stride, Lanes16* out, int64_t out_stride) {
  const Lanes16 sum1 = u[stride] + u[2 * stride], difference1 = u[2 * stride] - u[stride];
  const Lanes16 sum2 = u[3 * stride] + u[4 * stride], difference2 = u[3 * stride] - u[4 * stride];
  out[0] = u[0] * 0.25f - sum1 * (1 / 6.0f) + sum2 * (1 / 24.0f);
  out[out_stride] = difference1 * (1 / 6.0f) + difference2 * (1 / 12.0f);
  out[2 * out_stride] = (sum2 - sum1) * (1 / 6.0f) + u[5 * stride];
}

// Row and column of a tile's first pixel
struct Corner {
  int64_t row, column;
};
TWEEDIE_INLINE Corner corner(const TileGrid& grid, int64_t tile) {
  return {4 * (tile / grid.across()), 4 * (tile % grid.across())};
}

// size x size pixels at each tile of a padded image, transformed to 6 x 6 by `transform` along both axes
template <int size, int offset, auto transform>
TWEEDIE_INLINE void transform_tiles(const TileRange* range, const float* padded, Transformed to) {
  const int64_t lanes = to.lanes, row = range->grid.padded_width() * lanes;
  for (int64_t n = 0; n < range->count(); ++n) {
    const Corner at = corner(range->grid, range->begin + n);
    const float* from = padded + (at.row + offset) * row + (at.column + offset) * lanes;
    for (int64_t c = 0; c < lanes; c += 16) {
      Lanes16 half[6 * size], out[6];
      for (int j = 0; j < size; ++j) {
        Lanes16 pixel[size];
        for (int i = 0; i < size; ++i) pixel[i] = load16(from + i * row + j * lanes + c);
        transform(pixel, 1, half + j, size);
      }
      for (int i = 0; i < 6; ++i) {
        transform(half + i * size, 1, out, 1);
        for (int j = 0; j < 6; ++j) store16(to.data + (6 * i + j) * to.point + n * lanes + c, out[j]);
      }
    }
  }
}

TWEEDIE_INLINE void outputs(const TileRange* range, Transformed from, int64_t lanes, int64_t begin,
                            const float* bias, const float* addend, float* y) {
  const TileGrid grid = range->grid;
  for (int64_t n = 0; n < range->count(); ++n) {
    const Corner first = corner(grid, range->begin + n);
    const int64_t rows = grid.height - first.row < 4 ? grid.height - first.row : 4;
    const int64_t columns = grid.width - first.column < 4 ? grid.width - first.column : 4;
    for (int64_t c = 0; c < from.lanes; c += 16) {
      Lanes16 half[24], out[4];
      const float* in = from.data + n * from.lanes + c;
      for (int j = 0; j < 6; ++j) {
        Lanes16 column[6];
        for (int i = 0; i < 6; ++i) column[i] = load16(in + (6 * i + j) * from.point);
        output_transform(column, 1, half + j, 6);
      }
      const Lanes16 offset = bias == nullptr ? Lanes16{} : load16(bias + c);
      for (int64_t i = 0; i < rows; ++i) {
        output_transform(half + 6 * i, 1, out, 1);
        const int64_t at = ((first.row + i) * grid.width + first.column) * lanes + begin + c;
        for (int64_t j = 0; j < columns; ++j) {
          Lanes16 value = out[j] + offset;
          if (addend != nullptr) value += load16(addend + at + j * lanes);
          store16(y + at + j * lanes, value);
        }
      }
    }
  }
}

// Two passes over 16 x 16 kernels, for each of their 9 taps in vectors over the outputs. Each is stored where
// the panel of its outputs has the kernel's input.
struct KernelView {
  const float* data;  // tap t of output o and input i at data[o * out + t * tap + i * in]
  int64_t out, tap, in;
};
TWEEDIE_INLINE void transform_kernel(const Lanes16* kernel, float* to, int64_t point) {
  Lanes16 half[18], row[6];
  for (int b = 0; b < 3; ++b) kernel_transform(kernel + b, 3, half + b, 3);
  for (int a = 0; a < 6; ++a) {
    kernel_transform(half + 3 * a, 1, row, 1);
    for (int b = 0; b < 6; ++b) store16(to + (6 * a + b) * point, row[b]);
  }
}
TWEEDIE_INLINE float* panel_of(float* values, int64_t in, int64_t o, int64_t i) {
  return values + o / panel_columns * winograd_points * panel_columns * in + o % panel_columns +
         i * panel_columns;
}

// weight: (out, 9, in), vectors over out
TWEEDIE_INLINE void transform_kernels(const float* weight, int64_t out, int64_t in, float* values) {
  for (int64_t o = 0; o < out; o += 16) {
    for (int64_t i = 0; i < in; i += 16) {
      const int64_t outs = out - o < 16 ? out - o : 16, ins = in - i < 16 ? in - i : 16;
      Lanes16 block[9][16];
      for (int t = 0; t < 9; ++t) {
        for (int64_t a = 0; a < 16; ++a) {
          block[t][a] = Lanes16{};
          if (a < outs)
            __builtin_memcpy(&block[t][a], weight + ((o + a) * 9 + t) * in + i,
                             static_cast<size_t>(ins) * sizeof(float));
        }
        transpose<float>(block[t]);
      }
      for (int64_t b = 0; b < ins; ++b) {
        Lanes16 kernel[9];
        for (int t = 0; t < 9; ++t) kernel[t] = block[t][b];
        transform_kernel(kernel, panel_of(values, in, o, i + b), in * panel_columns);
      }
    }
  }
}

// Of the transposed convolution: from `out` to `in` channels, with the kernels turned round
TWEEDIE_INLINE void transform_adjoint_kernels(const float* weight, int64_t out, int64_t in, float* values) {
  for (int64_t i = 0; i < in; i += 16) {
    const int64_t ins = in - i < 16 ? in - i : 16;
    for (int64_t o = 0; o < out; ++o) {
      Lanes16 kernel[9];
      for (int t = 0; t < 9; ++t) {
        kernel[t] = Lanes16{};
        __builtin_memcpy(&kernel[t], weight + (o * 9 + 8 - t) * in + i,
                         static_cast<size_t>(ins) * sizeof(float));
      }
      transform_kernel(kernel, panel_of(values, out, i, o), out * panel_columns);
    }
  }
}

TWEEDIE_INLINE void kernel_gradients(const float* products, int64_t point, int64_t out, int64_t in,
                                     float* gradient) {
  const int64_t lanes = lanes_of(in);
  for (int64_t o = 0; o < out; ++o) {
    for (int64_t i = 0; i < in; i += 16) {
      const int64_t ins = in - i < 16 ? in - i : 16;
      const auto bytes = static_cast<size_t>(ins) * sizeof(float);
      Lanes16 half[18], kernel[9];
      for (int b = 0; b < 6; ++b) {
        Lanes16 column[6];
        for (int a = 0; a < 6; ++a) column[a] = load16(products + (6 * a + b) * point + o * lanes + i);
        kernel_adjoint(column, 1, half + b, 6);
      }
      for (int a = 0; a < 3; ++a) kernel_adjoint(half + 6 * a, 1, kernel + 3 * a, 1);
      for (int t = 0; t < 9; ++t) {
        float* to = gradient + (o * 9 + t) * in + i;
        Lanes16 sum{};
        __builtin_memcpy(&sum, to, bytes);
        sum += kernel[t];
        __builtin_memcpy(to, &sum, bytes);
      }
    }
  }
}

}  // namespace

WinogradKernel::WinogradKernel(int64_t in, int64_t out)
    : in_(in),
      out_(out),
      values_(static_cast<size_t>(round_up(out, panel_columns) * winograd_points * in), 0.0F) {}

WinogradKernel WinogradKernel::forward(const float* weight, int64_t out, int64_t in) {
  WinogradKernel result(in, out);
  vectorised<transform_kernels>(weight, out, in, result.values_.data());
  return result;
}

WinogradKernel WinogradKernel::adjoint(const float* weight, int64_t out, int64_t in) {
  WinogradKernel result(out, in);
  vectorised<transform_adjoint_kernels>(weight, out, in, result.values_.data());
  return result;
}

void zero_border(const TileGrid& grid, int64_t lanes, float* padded) {
  const int64_t row = grid.padded_width() * lanes;
  std::fill_n(padded, row, 0.0F);
  for (int64_t i = 1; i <= grid.height; ++i) {
    float* begin = padded + i * row;
    std::fill_n(begin, lanes, 0.0F);
    std::fill(begin + (grid.width + 1) * lanes, begin + row, 0.0F);
  }
  std::fill(padded + (grid.height + 1) * row, padded + grid.padded_height() * row, 0.0F);
}

void transform_inputs(const TileRange& range, const float* padded, Transformed to) {
  vectorised<transform_tiles<6, 0, input_transform>>(&range, padded, to);
}

void transform_output_gradients(const TileRange& range, const float* padded, Transformed to) {
  vectorised<transform_tiles<4, 1, gradient_transform>>(&range, padded, to);
}

void transform_outputs(const TileRange& range, Transformed from, int64_t lanes, int64_t begin,
                       const float* bias, const float* addend, float* y) {
  vectorised<outputs>(&range, from, lanes, begin, bias, addend, y);
}

void add_kernel_gradient(const float* products, int64_t point, int64_t out, int64_t in, float* gradient) {
  vectorised<kernel_gradients>(products, point, out, in, gradient);
}

}  // namespace tweedie
