#pragma once
// Operators of magnetic resonance imaging. An image x is real, (H, W) or (..., H, W), or complex, (2, H, W)
// with real and imaginary part. What is measured is complex: of shape S it is a real tensor (*S, 2), and
// noise_std is that of each real component. The adjoint is that of the real vector spaces, <A x, y> = <x, A^T
// y> summed over both parts: A^H y of complex images, its real part of real ones. All run on the CPU, on the
// threads in use; an x on another device is copied there and back.

#include "tweedie/operators.h"

namespace tweedie {

// Where frequency 0 and the image's origin are.
//   centred: at c = floor(n / 2) of both axes, as in files of MRI (fftshift(fft2(ifftshift(x))));
//   otherwise at the first entry, as in fft2(x).
struct KSpaceOptions {
  bool complex = false;
  bool centred = true;
};

// y = the entries of the orthonormal 2-D Fourier transform of x where `keep` (bool, (H, W)) is true, in C
// order:
//   y[k] = (H W)^{-1/2} sum_r x[r] exp(-2 pi i sum_axes (k - c) (r - c) / n)
// (..., H, W) -> (..., m, 2), without leading axes where those are 1. Closed forms for all: a Fourier
// transform diagonalises A^T A.
LinearOperatorPtr make_fourier(Shape domain, const Tensor& keep, const KSpaceOptions& options = {});

// y_c = that of s_c x for each coil c, with sensitivities s (coils, H, W), complex64 or complex128
// (Pruessmann et al., "SENSE", 1999): (H, W), (1, H, W) or (2, H, W) -> (coils, m, 2). The normal equations
// are solved by conjugate gradients, preconditioned by sum_c |s_c|^2.
LinearOperatorPtr make_multi_coil(Shape domain, const Tensor& sensitivities, const Tensor& keep,
                                  const KSpaceOptions& options = {});

// Patterns of Cartesian sampling, bool (H, W) with frequency 0 at (floor(H / 2), floor(W / 2)).
enum class SamplingPattern {
  full,
  equispaced,  // every acceleration-th line and `centre` lines around frequency 0
  lines,       // `centre` lines and others at random, uniformly: round(n / acceleration) of n lines
  gaussian,    // points, `centre` x `centre` and others, with density exp(-|k|^2 / (2 (spread n)^2))
  poisson,     // points, `centre` x `centre` and a Poisson disc of them whose radius grows with |k|
};
constexpr bool is_random(SamplingPattern pattern) {
  return pattern != SamplingPattern::full && pattern != SamplingPattern::equispaced;
}
struct SamplingOptions {
  SamplingPattern pattern = SamplingPattern::full;
  double acceleration = 4;  // >= 1; of gaussian and poisson round(H W / acceleration) points are kept
  int64_t centre = 16;      // >= 0: the fully sampled block around frequency 0
  double spread = 0.2;      // > 0, of gaussian
  bool columns = true;      // lines are columns (the last axis is the phase-encoding one), or rows
};
Tensor sampling_mask(int64_t height, int64_t width, const SamplingOptions& options, Noise noise);

}  // namespace tweedie
