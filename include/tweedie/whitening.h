#pragma once
// Gaussian noise of any covariance, made white: y = h(x) + L n is y' = h'(x) + n with y' = L^{-1} y and
// h' = L^{-1} h, and log p(y | x) = log p(y' | x) - log |L|. So every method that takes Gaussian noise of one
// standard deviation takes this, and remains what it is, evidence included.

#include "tweedie/noise_model.h"
#include "tweedie/operator.h"

namespace tweedie {

// L, lower triangular or diagonal; rows are (B, *codomain), float32 or float64
class Whitening {
 public:
  virtual ~Whitening() = default;
  virtual Tensor whiten(const Tensor& y) const = 0;          // L^{-1} y
  virtual Tensor whiten_adjoint(const Tensor& y) const = 0;  // L^{-T} y
  virtual Tensor colour(const Tensor& n) const = 0;          // L n
  virtual double log_scale() const = 0;                      // log |L|
  // The diagonal of L (*codomain) float64, where that is all of it; else undefined
  virtual Tensor diagonal() const { return {}; }
};

// L^{-1} h, linear where h is. Where L is diagonal and h h^T = I (a mask) its solves and decomposition are in
// closed form. `whitening` has to outlive it, which `owner` sees to.
std::shared_ptr<const ForwardOperator> whitened(std::shared_ptr<const ForwardOperator> h,
                                                const Whitening& whitening,
                                                std::shared_ptr<const void> owner);

}  // namespace tweedie
