#include "core/rows.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {
namespace {

// Eight running sums, so that the processor need not wait for one.
template <class Value>
double dot(const Value* a, const Value* b, int64_t n) {
  double sum[8] = {};
  int64_t i = 0;
  for (; i + 8 <= n; i += 8) {
    for (int lane = 0; lane < 8; ++lane) {
      sum[lane] += static_cast<double>(a[i + lane]) * static_cast<double>(b[i + lane]);
    }
  }
  for (; i < n; ++i) sum[i % 8] += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return ((sum[0] + sum[4]) + (sum[1] + sum[5])) + ((sum[2] + sum[6]) + (sum[3] + sum[7]));
}

template <class Value>
void dot_rows(const Tensor& a, const Tensor& b, double* out) {
  const int64_t rows = a.size(0), n = rows == 0 ? 0 : a.numel() / rows;
  const Value *pa = a.data_ptr<Value>(), *pb = b.data_ptr<Value>();
  for (int64_t row = 0; row < rows; ++row) out[row] = dot(pa + row * n, pb + row * n, n);
}

// out (rows, k) = x (rows, n) m (n, k), in tiles of 4 rows and 32 bytes of columns, all computed by the same
// instructions: what a tile lacks at an edge is filled with zeros. A BLAS computes edges otherwise, and where
// an edge is depends on the number of rows and of threads.
template <class Value>
void multiply(const Value* x, const Value* m, Value* out, int64_t rows, int64_t n, int64_t k) {
  constexpr int64_t height = 4, width = 32 / sizeof(Value), depth = 256;
  alignas(64) Value panel[depth][width], part[depth][height];
  for (int64_t i0 = 0; i0 < n; i0 += depth) {
    const int64_t d = std::min(depth, n - i0);
    for (int64_t j0 = 0; j0 < k; j0 += width) {
      const int64_t w = std::min(width, k - j0);
      for (int64_t i = 0; i < d; ++i) {
        for (int64_t j = 0; j < width; ++j) panel[i][j] = j < w ? m[(i0 + i) * k + j0 + j] : Value{0};
      }
      for (int64_t r0 = 0; r0 < rows; r0 += height) {
        const int64_t h = std::min(height, rows - r0);
        for (int64_t r = 0; r < height; ++r) {
          for (int64_t i = 0; i < d; ++i) part[i][r] = r < h ? x[(r0 + r) * n + i0 + i] : Value{0};
        }
        Value sum[height][width] = {};
        for (int64_t i = 0; i < d; ++i) {
          for (int64_t r = 0; r < height; ++r) {
            for (int64_t j = 0; j < width; ++j) sum[r][j] += part[i][r] * panel[i][j];
          }
        }
        for (int64_t r = 0; r < h; ++r) {
          for (int64_t j = 0; j < w; ++j) out[(r0 + r) * k + j0 + j] += sum[r][j];
        }
      }
    }
  }
}

}  // namespace

Tensor row_dot(const Tensor& a, const Tensor& b) {
  require_real(a, "row_dot");
  if (a.dim() == 0 || a.sizes() != b.sizes() || a.scalar_type() != b.scalar_type()) {
    throw Error("row_dot", fmt::format("shapes {} and {}, but two batches of one shape and dtype are needed",
                                       to_string(a.sizes()), to_string(b.sizes())));
  }
  if (!a.device().is_cpu()) {
    return a.to(at::kDouble).mul(b.to(at::kDouble)).reshape({a.size(0), -1}).sum(1);
  }
  const Tensor ca = a.contiguous(), cb = b.contiguous();
  Tensor result = at::empty({a.size(0)}, at::kDouble);
  if (a.scalar_type() == at::kDouble) {
    dot_rows<double>(ca, cb, result.data_ptr<double>());
  } else {
    dot_rows<float>(ca, cb, result.data_ptr<double>());
  }
  return result;
}

Tensor row_matmul(const Tensor& x, const Tensor& m) {
  require_real(x, "row_matmul");
  if (x.dim() != 2 || m.dim() != 2 || x.size(1) != m.size(0) || x.scalar_type() != m.scalar_type()) {
    throw Error("row_matmul", fmt::format("shapes {} and {}, but (B, n) and (n, k) of one dtype are needed",
                                          to_string(x.sizes()), to_string(m.sizes())));
  }
  if (!x.device().is_cpu()) return at::mm(x, m);
  const Tensor cx = x.contiguous(), cm = m.contiguous();
  Tensor result = at::zeros({x.size(0), m.size(1)}, x.options());
  const auto run = [&](auto zero) {
    using Value = decltype(zero);
    multiply(cx.data_ptr<Value>(), cm.data_ptr<Value>(), result.data_ptr<Value>(), x.size(0), m.size(0),
             m.size(1));
  };
  x.scalar_type() == at::kDouble ? run(0.0) : run(0.0F);
  return result;
}

Tensor per_row(const Tensor& factor, const Tensor& x) {
  Shape shape(x.dim(), 1);
  shape[0] = factor.size(0);
  return factor.to(x.scalar_type()).view(shape);
}

Tensor spread_rows(const Tensor& x, int64_t most) {
  const int64_t rows = x.size(0), count = std::min(rows, most);
  if (count == rows) return x;
  return x.index_select(0, at::arange(count, at::kLong).mul(rows).floor_divide(count));
}

}  // namespace tweedie
