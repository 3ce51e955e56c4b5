#pragma once
// The Gaussian mixture on which posterior samplers are compared: Cardoso, Janati El Idrissi, Le Corff,
// Moulines, "Monte Carlo guided diffusion for Bayesian linear inverse problems", ICLR 2024, section 4.

#include "tweedie/mixture_prior.h"

namespace tweedie {

// y = A x + noise_std n. All float64.
struct MixtureProblem {
  std::shared_ptr<const MixturePrior> prior;
  Tensor matrix;     // A (dy, d), singular values in (0, 1)
  double noise_std;  // in (0, the largest singular value)
  Tensor truth;      // (d), a draw of the prior
  Tensor y;          // (dy)
};

// 25 components of covariance I with means (-8 i, -8 j), i and j in -2 .. 2, repeated d / 2 times, and random
// weights; A Gaussian but for its singular values, which are uniform on (0, 1). d even, 1 <= dy <= d. The
// noise is for one row: another row is another problem.
MixtureProblem make_mixture_problem(int64_t d, int64_t dy, Noise noise);

}  // namespace tweedie
