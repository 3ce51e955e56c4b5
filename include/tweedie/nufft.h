#pragma once
// The Fourier transform of an image at any points of k-space, and the trajectories of radial and spiral
// scans. Conventions of real and complex images are those of tweedie/imaging.h.

#include "tweedie/operators.h"

namespace tweedie {

struct NufftSettings {
  bool complex = false;
  double tolerance = 1e-6;  // 1e-12 to 0.1: relative error; float32 has its own rounding besides
  double oversampling = 2;  // 1.25 to 2: of the grid on which points are interpolated
  bool toeplitz = true;     // A^T A as a convolution, to the tolerance, instead of A and then A^T
};

//   y_j = (H W)^{-1/2} sum_r x[r] exp(-2 pi i k_j . (r - c)),  c = (floor(H / 2), floor(W / 2)),
// trajectory k (*S, 2) in cycles per pixel along (height, width), |k| <= 0.5 on both axes.
// (H, W), (1, H, W) or (2, H, W) -> (*S, 2); with sensitivities (coils, H, W), complex, -> (coils, *S, 2).
// On a grid of points and pixels alike it is the Fourier operator of tweedie/imaging.h.
LinearOperatorPtr make_nufft(Shape domain, const Tensor& trajectory, const Tensor& sensitivities = {},
                             const NufftSettings& settings = {});

// Spokes through the centre, (spokes, samples, 2): k = (j - floor(samples / 2)) / samples (sin a, cos a) with
// a = pi i / spokes, or i times pi (sqrt(5) - 1) / 2 (golden angle; Winkelmann et al., TMI 2007).
Tensor radial_trajectory(int64_t spokes, int64_t samples, bool golden);
// Archimedean spirals from the centre to |k| = 0.5, at even speed, (interleaves, samples, 2):
//   k = 0.5 t (sin a, cos a),  a = 2 pi (turns t + i / interleaves),  t = sqrt(j / (samples - 1))
Tensor spiral_trajectory(int64_t interleaves, int64_t samples, double turns);

}  // namespace tweedie
