#pragma once
// The orthonormal two-dimensional Fourier transform of an image and the entries of it that are measured:
//   y[k] = (H W)^{-1/2} sum_r x[r] exp(-2 pi i (k - c) (r - c) / n)   on both axes, n = H, W,
// with c = floor(n / 2) when k-space is centred and c = 0 when it is not.

#include "kernel/fourier.h"
#include "operator/image_planes.h"
#include "operator/linear.h"

namespace tweedie {

class KSpace {
 public:
  // keep: bool (H, W), with at least one entry
  KSpace(const Tensor& keep, bool centred);

  int64_t height() const { return height_; }
  int64_t width() const { return width_; }
  int64_t count() const { return static_cast<int64_t>(place_.size()); }  // m, the measured entries
  bool centred() const { return centred_; }
  const Tensor& keep() const { return keep_; }
  // For each measured entry the measured one at the opposite frequency, or -1
  const std::vector<int64_t>& opposite() const { return opposite_; }
  // The diagonal of F A^T A F^H, (H, W) float64 with frequency 0 first: 1 where measured, 0 elsewhere. Of
  // real images, whose opposite frequencies are conjugate, the mean over those: 0, 1/2 or 1.
  Tensor power(bool complex) const;

  // y (m, 2) from x times the factor (a coil's sensitivity), of which null is 1
  template <class Value>
  void measure(PlanesOf<const Value> x, PlanesOf<const Value> factor, Value* y) const;
  // x = Re or all of conj(factor) F^H y
  template <class Value>
  void adjoint(const Value* y, PlanesOf<const Value> factor, PlanesOf<Value> x) const;
  // out = conj(factor) F^H diag(weight) F factor x; weight (H, W) with frequency 0 first, which depends on
  // one axis alone where the mask does
  template <class Value>
  void filter(PlanesOf<const Value> x, PlanesOf<const Value> factor, const Value* weight,
              PlanesOf<Value> out) const;

 private:
  template <class Value>
  struct Plan {
    Plan(int64_t height, int64_t width) : rows(width), columns(height) {}
    FourierLines<Value> rows, columns;
    std::vector<Value> phase;  // (m, 2), of the centres, times (H W)^{-1/2}
  };
  template <class Value>
  const Plan<Value>& plan() const;

  Tensor keep_;
  bool centred_;
  int64_t height_, width_;
  bool along_rows_ = false, along_columns_ = false;  // does the mask vary along them?
  std::vector<int64_t> place_;                       // (m) flat, with frequency 0 first
  std::vector<int64_t> opposite_;
  Plan<float> single_;
  Plan<double> twice_;
};

// An operator whose measurement is part of a grid of k-space, which files may hold whole.
class CartesianOperator : public FixedShape {
 public:
  CartesianOperator(const Shape& domain, const Shape& lead, const Tensor& keep, bool centred);
  bool measures_complex() const final { return true; }
  const KSpace& k_space() const { return k_space_; }
  Shape grid() const;                         // (*lead, H, W, 2), of which the codomain is (*lead, m, 2)
  Tensor measured(const Tensor& grid) const;  // (B, *lead, H, W, 2) -> (B, *lead, m, 2)
  Tensor laid_out(const Tensor& y) const;     // the inverse, with 0 where nothing was measured

 private:
  Shape lead_;
  KSpace k_space_;
};

// Throws Error(place) unless keep is bool, (H, W) of the domain, and keeps something.
void require_keep(const Tensor& keep, const Shape& domain, const std::string& place);
// Sensitivities (coils, H, W), complex or real, of the domain's (H, W), as (coils, 2, H, W) float64
Tensor coil_planes(const Tensor& sensitivities, const Shape& domain, const std::string& place);

}  // namespace tweedie
