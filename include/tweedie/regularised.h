#pragma once
// Regularised least squares, the methods before there were learned priors:
//   x(y) = argmin_x 1/2 ||A x - y||^2 + weight R(x),   A linear.
// None looks at a prior or draws anything; noise_std is what two of the rules for the weight need. With
// weight = noise_std^2 x(y) is the mode of the posterior under the prior exp(-R).

#include "tweedie/image_operators.h"
#include "tweedie/point_estimate.h"
#include "tweedie/posterior.h"

namespace tweedie {

// Tikhonov 1963, ridge regression: R = 1/2 ||x||^2, or 1/2 ||grad x||^2 with differences of neighbouring
// pixels.
struct TikhonovOptions {
  static constexpr const char* kind = "tikhonov";
  static constexpr bool without_prior = true;
  enum class Penalty { identity, gradient };
  Penalty penalty = Penalty::identity;
  WeightOptions weight;
};

// Isotropic total variation (Rudin, Osher, Fatemi 1992): R = sum over pixels of |grad x|, the norm being over
// both directions and, with `joint`, over all channels, which for the two channels of a complex image is its
// gradient's modulus.
struct TvOptions {
  bool joint = true;
  int64_t iterations = 500;  // >= 1, at most
  double tolerance = 1e-5;   // >= 0: relative change of x at which it stops
  int64_t inner = 10;        // >= 1: steps of the dual method in each, from where the last one ended
};
// FISTA (Beck and Teboulle 2009) with the proximal map by their fast gradient projection on the dual.
struct FistaTvOptions {
  static constexpr const char* kind = "fista-tv";
  static constexpr bool without_prior = true;
  TvOptions tv;
  WeightOptions weight;
};
// ADMM (Boyd et al. 2011) with the operator's own solve of (A^T A + rho I) x = b.
struct AdmmTvOptions {
  static constexpr const char* kind = "admm-tv";
  static constexpr bool without_prior = true;
  std::optional<double> rho;  // > 0; by default the residuals choose it
  TvOptions tv;
  WeightOptions weight;
};

// R = sum of |W x| over the details of an orthonormal, periodic wavelet transform (Daubechies 1992); FISTA
// with soft thresholds.
struct WaveletL1Options {
  static constexpr const char* kind = "wavelet-l1";
  static constexpr bool without_prior = true;
  Wavelet wavelet = Wavelet::db2;
  std::optional<int64_t> levels;  // >= 1; as many as the image allows, up to 4
  int64_t iterations = 500;       // >= 1, at most
  double tolerance = 1e-5;        // > 0: relative change of x at which it stops
  WeightOptions weight;
};

std::unique_ptr<const PosteriorSampler> point_estimate(const TikhonovOptions& options, DrawOptions draw);
std::unique_ptr<const PosteriorSampler> point_estimate(const FistaTvOptions& options, DrawOptions draw);
std::unique_ptr<const PosteriorSampler> point_estimate(const AdmmTvOptions& options, DrawOptions draw);
std::unique_ptr<const PosteriorSampler> point_estimate(const WaveletL1Options& options, DrawOptions draw);

}  // namespace tweedie
