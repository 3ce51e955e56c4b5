#include "core/rows.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <bit>

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
  const int64_t rows = x.size(0), n = m.size(0), k = m.size(1);
  // As many rows at a time as make the call worth its overhead; a function of the matrix only.
  const uint64_t wanted = (uint64_t{1} << 20) / static_cast<uint64_t>(std::max<int64_t>(n * k, 1));
  const auto block = static_cast<int64_t>(std::bit_floor(std::clamp<uint64_t>(wanted, 16, 1024)));
  std::vector<Tensor> parts;
  for (int64_t start = 0; start < rows; start += block) {
    const int64_t count = std::min(block, rows - start);
    Tensor part = x.narrow(0, start, count);
    if (count < block) part = at::constant_pad_nd(part, {0, 0, 0, block - count});
    parts.push_back(at::mm(part, m).narrow(0, 0, count));
  }
  return parts.empty() ? at::empty({0, k}, x.options()) : at::cat(parts);
}

Tensor per_row(const Tensor& factor, const Tensor& x) {
  Shape shape(x.dim(), 1);
  shape[0] = factor.size(0);
  return factor.to(x.scalar_type()).view(shape);
}

}  // namespace tweedie
