#pragma once
// Isotropic total variation of an image and its proximal map, by fast gradient projection on the dual (Beck
// and Teboulle, IEEE TIP 18, 2009):
//   min_x 1/2 ||x - z||^2 + w TV(x) = max_{|p| <= 1} 1/2 ||z||^2 - 1/2 ||z - w D^T p||^2,   x = z - w D^T p,
// D the differences of neighbours (kernel/total_variation.h), TV(x) = sum over pixels of |D x|. The dual's
// gradient is w D x, of Lipschitz constant w^2 ||D||^2, ||D||^2 <= 8 (4 for a signal). The gap between the
// two sides is w (TV(x) - <p, D x>), and bounds 1/2 ||x - x*||^2.

#include "kernel/total_variation.h"
#include "tweedie/tensor.h"

namespace tweedie {

class TotalVariation {
 public:
  // domain: (C, H, W), (H, W) or (W); joint: |D x| is over all channels. State in dtype, float32 or float64,
  // on the CPU. Large images are worked on in bands, by the workers in use; no bit depends on their number.
  TotalVariation(const Shape& domain, at::ScalarType dtype, bool joint);

  // x: contiguous, of the domain's size
  double value(const Tensor& x) const;

  struct Outcome {
    int64_t steps;
    double gap;  // NaN where it was not computed
  };
  // x = prox(z), from the dual variable of the last call. With a tolerance > 0 stops where the gap is at most
  // tolerance (1/2 ||z||^2 + a little), which is looked at every few steps. x must not be z.
  Outcome prox(const Tensor& z, double weight, int64_t steps, double tolerance, Tensor& x);
  void forget();  // the dual variable: 0 again

 private:
  template <class Value>
  Outcome prox_of(const Tensor& z, double weight, int64_t steps, double tolerance, Tensor& x);
  template <class Value>
  double gap(const Tensor& x, double weight) const;
  template <class Value>
  std::pair<double, double> sums(const Tensor& x, const Tensor& p) const;

  Planes size_;
  bool joint_;
  Tensor r_, p_;  // (2, C, H, W)
  int64_t bands_;
  mutable Tensor work_, halo_, rows_;  // of each band; of each row of the image (2, H) float64
};

}  // namespace tweedie
