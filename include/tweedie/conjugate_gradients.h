#pragma once
// Least squares by conjugate gradients: the classical reconstruction of parallel imaging (CG-SENSE), and of
// any linear measurement.

#include "tweedie/posterior.h"

namespace tweedie {

// x that minimises |y - A x|^2 + lambda |x|^2, by conjugate gradients from 0 on
//   (A^T A + lambda I) x = A^T y
// (Pruessmann, Weiger, Boernert, Boesiger, "Advances in sensitivity encoding with arbitrary k-space
// trajectories", MRM 2001). A point estimate, for linear operators: one answer and no draws; neither the
// prior nor noise_std is used, and other than Gaussian noise is refused. Stopped early it regularises too:
// with lambda = 0 iterations are the weight.
struct CgOptions {
  static constexpr const char* kind = "cg";
  static constexpr bool without_prior = true;
  enum class Arithmetic { float32, float64 };
  int64_t iterations = 30;  // >= 1, at most
  double lambda = 0;        // >= 0, in units of |A|^2
  double tolerance = 1e-6;  // >= 0: relative residual at which it stops before
  Arithmetic arithmetic = Arithmetic::float32;
};
std::unique_ptr<const PosteriorSampler> point_estimate(const CgOptions& options, DrawOptions draw);

}  // namespace tweedie
