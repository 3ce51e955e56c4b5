#pragma once
// The coordinates of x that y measures, and y as a value of theirs:
//   A A^T = I:        k = A x,     target = y,              of noise tau = noise_std
//   A = U diag(s) V^T:  k = V^T x,   target = diag(1 / s) U^T y,   of noise tau_i = noise_std / s_i
// The target is k of x_sigma at sigma = tau. So at level t >= tau, target + sqrt(t^2 - tau^2) n is k of an
// x_t that has x_tau's measured part; below tau y says nothing more.

#include "posterior/loop.h"

namespace tweedie {

class KnownPart {
 public:
  // Throws Error where A A^T is not I and A is too large to be decomposed.
  KnownPart(const LinearOperator& a, double noise_std, const DrawOptions& options);

  bool orthonormal() const { return !svd_; }
  Tensor target(const Tensor& y) const;  // for each row
  // x with its known part moved to the target at level t: weight 1 overwrites it. Two applications.
  Tensor overwrite(const LoopRows& rows, const Tensor& x, const Tensor& target, double t, double weight,
                   Noise& noise) const;

 private:
  const LinearOperator& a_;
  double noise_std_;
  // Where A A^T is not I: the decomposition, V (d, k) and V^T as the state's, tau (k) float64 on its device
  std::optional<Svd> svd_;
  Tensor v_, vt_, tau_;
};

// A A^T = I with A^T A diagonal: a selection of coordinates.
bool is_mask(const LinearOperator& a);

// The schedule with one more level, where it lies between the first and 0 and is none of them.
NoiseSchedule with_level(const NoiseSchedule& schedule, double level);

}  // namespace tweedie
