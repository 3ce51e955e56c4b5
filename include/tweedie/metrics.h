#pragma once
// Figures of merit: how far apart two sets of draws are, and how close an estimate is to a truth. Pure
// functions, float64 inside; rows are draws. Bad shapes, NaN and infinity throw Error.

#include "tweedie/sample_set.h"

#include <cstdint>

namespace tweedie {

// W_p (not its p-th power) of two sets of numbers (d = 1), of any sizes and weights:
// (integral over u of |F^-1(u) - G^-1(u)|^p)^(1/p), p >= 1.
double wasserstein_1d(const SampleSet& a, const SampleSet& b, double p = 1);

// Three incompatible conventions are in use: name yours beside every number.
enum class SlicedConvention {
  mean_w1,       // mean over directions of W_1 (the MCGdiff benchmark)
  root_mean_w2,  // sqrt of the mean over directions of W_2^2; for N(a, I), N(b, I) its square is |a - b|^2 /
                 // d
  max_w2,        // largest W_2 over the same random directions, a lower bound of max-sliced W_2
};

struct SlicedOptions {
  int64_t directions = 100;  // uniform on the sphere, the same for the same seed and d
  SlicedConvention convention = SlicedConvention::mean_w1;
  uint64_t seed = 0;
};

double sliced_wasserstein(const SampleSet& a, const SampleSet& b, const SlicedOptions& options = {});

// distance_floor of sliced_wasserstein
Floor sliced_wasserstein_floor(const SampleSet& a, const SlicedOptions& options = {}, int64_t splits = 20);
Floor sliced_wasserstein_floor(const SampleSet& a, const SampleSet& b, const SlicedOptions& options = {},
                               int64_t splits = 20);

// Szekely and Rizzo 2013: 2 E|X - Y| - E|X - X'| - E|Y - Y'|, Euclidean norms; in one dimension 2 int (F -
// G)^2. Unbiased: pairs of a draw with itself are left out (a U-statistic), so that it may be slightly
// negative.
double energy_distance_unbiased(const SampleSet& a, const SampleSet& b);
// The distance of the two empirical laws themselves: never negative, and biased by about (1/n + 1/m) E|X -
// X'|.
double energy_distance_plug_in(const SampleSet& a, const SampleSet& b);

struct PermutationOptions {
  int64_t permutations = 199;
  int64_t max_rows = 1000;  // of each set; more are thinned to this many, at random
  uint64_t seed = 0;
};

// Permutation test of equal laws by the energy distance: exact for independent draws, at least
// 1/(permutations + 1). Weighted sets are first resampled to as many draws as their effective size, which
// makes it approximate.
double energy_p_value(const SampleSet& a, const SampleSet& b, const PermutationOptions& options = {});

struct MomentError {
  double absolute;  // norm of the difference
  double relative;  // over the scale of b
  double
      standard_error;  // root mean square of `absolute` if the laws were equal, from finite numbers of draws
};

// |mean a - mean b|_2, relative to sqrt(tr Cov b); at least two draws each
MomentError mean_error(const SampleSet& a, const SampleSet& b);
// |Cov a - Cov b|_F, relative to |Cov b|_F; at least two draws each. The standard error has E|x - m|^4 from
// the draws.
MomentError covariance_error(const SampleSet& a, const SampleSet& b);

// 10 log10(range^2 / mean squared error) in dB for each row: x, truth (B, *shape) -> (B) float64; range is
// the width of the values, 2 for data in [-1, 1]. Equal rows give +infinity.
Tensor psnr(const Tensor& x, const Tensor& truth, double range);

// Wang, Bovik, Sheikh and Simoncelli 2004: mean structural similarity over all whole windows (11 x 11,
// Gaussian of std 1.5, K = 0.01 and 0.03), one number per image: (..., H, W) -> (...) float64. In an image
// narrower than 11 the window is the largest odd one that fits.
Tensor ssim(const Tensor& x, const Tensor& truth, double range);

struct CompareOptions {
  SlicedOptions sliced;
  int64_t splits = 20;
  PermutationOptions permutation;
};

struct Comparison {
  int64_t rows_a, rows_b, dimension;
  double sliced_wasserstein;
  Floor sliced_floor;      // of the same sizes, were the laws equal
  double sliced_ratio;     // distance over floor: about 1 when the laws are equal
  double sliced_z;         // (distance - floor) / std of the floor
  double energy_distance;  // unbiased
  double energy_p_value;
  MomentError mean, covariance;
};

// All of the above for two sets of at least two draws each.
Comparison compare(const SampleSet& a, const SampleSet& b, const CompareOptions& options = {});

}  // namespace tweedie
