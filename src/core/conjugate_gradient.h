#pragma once
// Conjugate gradients (Hestenes & Stiefel 1952) on a batch of systems B_i u_i = b_i, each row its own: a row
// has its own step sizes, stops on its own and is frozen from then on, so that its result is the same, bit
// for bit, whatever the other rows hold.

#include "tweedie/tensor.h"

#include <functional>
#include <vector>

namespace tweedie {

// A linear map on batches, row by row: (rows, ...) -> (rows, ...)
using BatchMap = std::function<Tensor(const Tensor&)>;

struct ConjugateGradientOptions {
  int64_t max_iterations = 100;
  double tolerance = 1e-6;  // stop at ||b - B u|| <= tolerance ||b||, the residual carried by the recurrence
  double min_curvature =
      0;  // stop where p^T B p <= min_curvature p^T p: a known lower bound on B's eigenvalues
  // Give the iterate of least r^T M r, M the preconditioner, not the last: for a B that is symmetric and
  // positive definite only nearly, where a step can go astray. With M ~ B^{-1} that is the error in B's norm,
  // which no step should raise; without a preconditioner it may rise for a while.
  bool keep_best = false;
};

struct ConjugateGradientResult {
  Tensor u;                   // (rows, ...) of b's dtype
  Tensor iterations;          // (rows) int64: steps taken
  std::vector<Tensor> steps;  // (rows) each: u = sum_k steps[k] p_k, p_k the k-th argument of the map
  Tensor residual;            // (rows) float64: ||b - B u|| / ||b||, 0 where b = 0
  Tensor broken;  // (rows) bool: stopped, at its last iterate, by curvature too small or not finite, which
                  // means that B (or the preconditioner) is not positive definite along that row's path
};

// Starts at u = 0. b: (rows, ...) float32 or float64; sums over a row are accumulated in float64.
// `precondition` applies an approximation of B^{-1}, symmetric positive definite; empty means none.
ConjugateGradientResult conjugate_gradient(const BatchMap& apply, const Tensor& b,
                                           const ConjugateGradientOptions& options,
                                           const BatchMap& precondition = {});

}  // namespace tweedie
