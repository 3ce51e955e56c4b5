#pragma once
// What the linear operators share.

#include "core/shape.h"
#include "tweedie/operator.h"

#include <mutex>

namespace tweedie {

// A constant that is wanted in the dtype and on the device of whatever x comes; each copy is made once.
class Constant {
 public:
  explicit Constant(Tensor value) : copies_{std::move(value)} {}

  Tensor as(at::ScalarType dtype, at::Device device) const {
    const std::lock_guard lock(mutex_);
    for (const Tensor& copy : copies_) {
      if (copy.scalar_type() == dtype && copy.device() == device) return copy;
    }
    return copies_.emplace_back(copies_.front().to(device, dtype));
  }
  Tensor like(const Tensor& x) const { return as(x.scalar_type(), x.device()); }

 private:
  mutable std::mutex mutex_;
  mutable std::vector<Tensor> copies_;
};

// Throws Error(place) unless the shape has at least `axes` axes, all of extent >= 1.
void require_domain(const Shape& domain, size_t axes, const std::string& place);

// A linear operator between two fixed shapes.
class FixedShape : public LinearOperator {
 public:
  FixedShape(Shape domain, Shape codomain) : domain_(std::move(domain)), codomain_(std::move(codomain)) {}
  Shape domain() const final { return domain_; }
  Shape codomain() const final { return codomain_; }

 private:
  Shape domain_, codomain_;
};

// Decompositions that are known in closed form are written out, as dense matrices, up to this many entries.
constexpr int64_t svd_limit = 4'000'000;
// min(m, d) up to which a dense matrix is decomposed, in some seconds.
constexpr int64_t largest_dense_svd = 2048;
// Of a dense matrix (m, d) float64, without the singular values that are zero to rounding.
Svd thin_svd(const Tensor& a);

// Relative to the largest, the singular value that is rounding of this dtype, in an operator of so many rows
// or columns, whichever are more.
double rank_tolerance(int64_t size, at::ScalarType dtype);

}  // namespace tweedie
