// y = S x with S in compressed rows. Its transpose is kept too, so that both directions gather, in one order
// always.

#include "operator/linear.h"
#include "tweedie/sensing.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {
namespace {

template <class Value>
void multiply(const int64_t* offsets, const int64_t* indices, const Value* values, const Value* x, Value* y,
              int64_t batch, int64_t rows, int64_t columns) {
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < rows; ++i) {
      double sum = 0;
      for (int64_t k = offsets[i]; k < offsets[i + 1]; ++k) {
        sum += static_cast<double>(values[k]) * static_cast<double>(x[b * columns + indices[k]]);
      }
      y[b * rows + i] = static_cast<Value>(sum);
    }
  }
}

// S of checked parts, on the CPU.
struct Rows {
  explicit Rows(const SparseMatrix& m)
      : rows(m.rows), columns(m.columns), offsets(m.offsets), indices(m.indices), values(m.values) {}

  Tensor times(const Tensor& x) const {
    const Tensor from = x.cpu().contiguous(), v = values.as(x.scalar_type(), at::kCPU);
    Tensor y = at::empty({x.size(0), rows}, from.options());
    const auto run = [&](auto zero) {
      using Value = decltype(zero);
      multiply(offsets.data_ptr<int64_t>(), indices.data_ptr<int64_t>(), v.data_ptr<Value>(),
               from.data_ptr<Value>(), y.data_ptr<Value>(), x.size(0), rows, columns);
    };
    x.scalar_type() == at::kDouble ? run(0.0) : run(0.0F);
    return y.to(x.device());
  }

  int64_t rows, columns;
  Tensor offsets, indices;
  Constant values;
};

class SparseOperator final : public FixedShape {
 public:
  SparseOperator(const Shape& domain, const SparseMatrix& m)
      : FixedShape(domain, {m.rows}), forward_(m), adjoint_(transposed(m)) {}

 protected:
  Tensor do_apply(const Tensor& x) const override { return forward_.times(x.flatten(1)); }
  Tensor do_adjoint(const Tensor& y) const override {
    return adjoint_.times(y).view(with_batch(y.size(0), domain()));
  }

 private:
  Rows forward_, adjoint_;
};

// On the CPU as int64, or an Error.
Tensor whole_numbers(const Tensor& x, int64_t size, const char* place) {
  if (x.dim() != 1 || !c10::isIntegralType(x.scalar_type(), /*includeBool=*/false)) {
    throw Error(place, fmt::format("{} of shape {}, but a list of whole numbers is needed",
                                   toString(x.scalar_type()), to_string(x.sizes())));
  }
  if (x.numel() != size) throw Error(place, fmt::format("{} numbers, but {} are needed", x.numel(), size));
  return x.detach().to(at::kCPU, at::kLong).contiguous();
}

SparseMatrix checked(const SparseMatrix& m) {
  const int64_t entries = m.values.numel();
  if (m.values.dim() != 1) {
    throw Error("sparse.values",
                fmt::format("shape {}, but a list of numbers is needed", to_string(m.values.sizes())));
  }
  require_real(m.values, "sparse.values");
  require_finite(m.values, "sparse.values");
  SparseMatrix result{m.rows, m.columns, whole_numbers(m.offsets, m.rows + 1, "sparse.offsets"),
                      whole_numbers(m.indices, entries, "sparse.indices"),
                      m.values.detach().to(at::kCPU, at::kDouble).contiguous()};
  const int64_t *offsets = result.offsets.data_ptr<int64_t>(), *indices = result.indices.data_ptr<int64_t>();
  if (offsets[0] != 0 || offsets[m.rows] != entries || !std::is_sorted(offsets, offsets + m.rows + 1)) {
    throw Error("sparse.offsets",
                fmt::format("from {} to {}, but numbers that rise from 0 to {} entries are needed",
                            offsets[0], offsets[m.rows], entries));
  }
  for (int64_t k = 0; k < entries; ++k) {
    if (indices[k] >= 0 && indices[k] < m.columns) continue;
    throw Error("sparse.indices",
                fmt::format("{} at {}, but 0 to {} is needed", indices[k], k, m.columns - 1));
  }
  return result;
}

}  // namespace

SparseMatrix transposed(const SparseMatrix& matrix) {
  const SparseMatrix m = checked(matrix);
  const int64_t entries = m.values.numel();
  SparseMatrix result{m.columns, m.rows, at::zeros({m.columns + 1}, at::kLong),
                      at::empty({entries}, at::kLong), at::empty({entries}, at::kDouble)};
  const int64_t *offsets = m.offsets.data_ptr<int64_t>(), *indices = m.indices.data_ptr<int64_t>();
  const auto* values = m.values.data_ptr<double>();
  int64_t *starts = result.offsets.data_ptr<int64_t>(), *rows = result.indices.data_ptr<int64_t>();
  auto* moved = result.values.data_ptr<double>();
  for (int64_t k = 0; k < entries; ++k) ++starts[indices[k] + 1];
  for (int64_t j = 0; j < m.columns; ++j) starts[j + 1] += starts[j];
  std::vector<int64_t> next(starts, starts + m.columns);
  for (int64_t i = 0; i < m.rows; ++i) {
    for (int64_t k = offsets[i]; k < offsets[i + 1]; ++k) {
      const int64_t place = next[indices[k]]++;
      rows[place] = i;
      moved[place] = values[k];
    }
  }
  return result;
}

LinearOperatorPtr make_sparse(Shape domain, const SparseMatrix& matrix) {
  require_domain(domain, 1, "sparse.domain");
  if (matrix.rows < 1 || matrix.columns != product(domain)) {
    throw Error("sparse.shape", fmt::format("({}, {}), but (m, {}) is needed for x of shape {}", matrix.rows,
                                            matrix.columns, product(domain), to_string(domain)));
  }
  return std::make_shared<SparseOperator>(domain, checked(matrix));
}

}  // namespace tweedie
