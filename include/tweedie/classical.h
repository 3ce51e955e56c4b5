#pragma once
// Point estimates that are no regularised least squares: linear MMSE, Richardson-Lucy, plug-and-play, RED,
// MAP by gradient ascent, the augmented Lagrangian, the deep image prior.

#include "tweedie/point_estimate.h"
#include "tweedie/posterior.h"

#include <filesystem>

namespace tweedie {

// Linear MMSE (Wiener 1949): x = m + S A^T (A S A^T + noise_std^2 I)^{-1} (y - A m), m and S the mean and the
// covariance of x. The posterior mean where the prior is Gaussian, whose standard deviation is then known
// too; the best linear estimate for any other. m and S are those of an analytic prior, or of data.
struct WienerOptions {
  static constexpr const char* kind = "wiener";
  enum class Covariance {
    full,        // as it is; of data, the sample covariance or, with a rank, that of PPCA
    stationary,  // of data: one power spectrum a channel, that of the periodic image
  };
  std::filesystem::path data{};  // (N, *shape); without it the prior's own moments
  Covariance covariance = Covariance::full;
  std::optional<int64_t> rank;  // of full, >= 1
};
// data: (N, *shape), or undefined
std::unique_ptr<const PosteriorSampler> point_estimate(const WienerOptions& options, const Tensor& data,
                                                       DrawOptions draw);

// Richardson 1972, Lucy 1974: expectation maximisation for y ~ Poisson(A x + background), A and y >= 0.
//   x <- x / (A^T 1) A^T (y / (A x + background))
// Each step raises the likelihood; stopping early is what regularises.
struct RichardsonLucyOptions {
  static constexpr const char* kind = "richardson-lucy";
  static constexpr bool without_prior = true;
  int64_t iterations = 50;  // >= 1
  double background = 0;    // >= 0, in the units of y
  double tolerance = 0;     // >= 0: relative change of x at which it stops before
};
std::unique_ptr<const PosteriorSampler> point_estimate(const RichardsonLucyOptions& options,
                                                       DrawOptions draw);

// Plug-and-play (Venkatakrishnan, Bouman, Wohlberg 2013): the proximal map of -log p is the denoiser at
// `level`.
//   admm: x = argmin ||A x - y||^2 / noise_std^2 + ||x - z + u||^2 / level^2, z = D(x + u), u += x - z
//   hqs:  the same with u = 0 (half-quadratic splitting; Zhang et al. 2021, DPIR)
// For a Gaussian prior N(m, S) admm ends at its posterior's mode at any level, hqs at that of N(m, S +
// level^2 I).
struct PnpOptions {
  static constexpr const char* kind = "pnp";
  enum class Splitting { admm, hqs };
  Splitting splitting = Splitting::admm;
  double level = 0.1;  // > 0, of the denoiser, in the units of x
  // >= level: the levels fall from it to `level` over the first half. By default 1, or `level` if that is
  // more.
  std::optional<double> start;
  int64_t iterations = 100;  // >= 1
  double tolerance = 1e-4;   // > 0: relative change of x at which it stops
};
std::unique_ptr<const PosteriorSampler> point_estimate(const PnpOptions& options, DrawOptions draw);

// Regularisation by denoising (Romano, Elad, Milanfar 2017): solves
//   A^T (A x - y) / noise_std^2 + weight (x - D(x; level)) = 0,
// weight = 1 / level^2 making the second term the score of x_level (Reehorst and Schniter 2019). Linear
// operators: fixed-point iteration with the operator's own solve; others: gradient steps.
struct RedOptions {
  static constexpr const char* kind = "red";
  double level = 0.1;            // > 0, of the denoiser at the end, in the units of x
  std::optional<double> start;   // as that of PnpOptions
  std::optional<double> weight;  // > 0; 1 / level^2, of the level that it has come to
  int64_t iterations = 200;      // >= 1
  double tolerance = 1e-4;       // > 0: relative change of x at which it stops
};
std::unique_ptr<const PosteriorSampler> point_estimate(const RedOptions& options, DrawOptions draw);

// The mode of p_level(x) p(y | x) by gradient ascent,
//   x <- x + a (grad log p(y | x) + (D(x; level) - x) / level^2),
// where the level falls from `start` to `level`. Any operator.
struct MapOptions {
  static constexpr const char* kind = "map";
  double level = 0.1;        // > 0, the last one, in the units of x
  double start = 1;          // >= level, the first one
  int64_t iterations = 500;  // >= 1
  double step = 1;           // in (0, 2): a times the largest curvature that noise of this level allows
  bool momentum = true;      // Nesterov's, restarted where it climbs down (O'Donoghue and Candes 2015)
};
std::unique_ptr<const PosteriorSampler> point_estimate(const MapOptions& options, DrawOptions draw);

// Least squares on the prior's support F(x) = 0, by the method of multipliers with continuation:
//   max_x -1/2 ||h(x) - y||^2 + lambda F(x) - mu/2 F(x)^2,   lambda <- lambda - mu F, mu <- growth mu,
// F(x) = ||x - D(x; level)||, the distance to the support in the limit of small levels. The level falls from
// `start` over the first half of the rounds, the multiplier takes its steps in the second.
struct AugmentedLagrangianOptions {
  static constexpr const char* kind = "augmented-lagrangian";
  double level = 0.05;  // > 0, the last one, in the units of x
  double start = 1;     // >= level, the first one
  double mu = 0.1;      // > 0, the first one, in units of ||dh/dx||^2
  double growth = 1.5;  // >= 1
  int64_t rounds = 20;  // >= 1, of the multiplier
  int64_t inner = 10;   // >= 1, steps in each
};
std::unique_ptr<const PosteriorSampler> point_estimate(const AugmentedLagrangianOptions& options,
                                                       DrawOptions draw);

// Deep image prior (Ulyanov, Vedaldi, Lempitsky 2018): x = f(z), a U-Net of random input whose weights
// minimise ||h(f(z)) - y||^2 by Adam. Stops where the residual is that of the noise, m noise_std^2. The
// answer is an average over the last iterations.
struct DeepImagePriorOptions {
  static constexpr const char* kind = "deep-image-prior";
  static constexpr bool without_prior = true;
  int64_t iterations = 2000;       // >= 1, at most
  double learning_rate = 0.01;     // > 0
  double perturbation = 1 / 30.0;  // >= 0: standard deviation of the noise added to z, of its own
  double average = 0.99;           // in [0, 1): what an iteration keeps of the average
  int64_t channels = 32;           // >= 4, of the network at full resolution
  std::vector<int64_t> multipliers{1, 2, 2};
};
std::unique_ptr<const PosteriorSampler> point_estimate(const DeepImagePriorOptions& options,
                                                       DrawOptions draw);

}  // namespace tweedie
