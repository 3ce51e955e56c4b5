#pragma once
// Gaussian noise whose level is not known: estimated from y, or drawn together with x.

#include "tweedie/posterior.h"

#include <functional>

namespace tweedie {

// One level for all cases, y: (cases, *codomain).
// - y of two or more axes, the last two of 8 pixels or more: the median of |d| / 0.6745, d the finest
// diagonal Haar
//   coefficients (a - b - c + d) / 2 (Donoho and Johnstone 1994). Right where A x is smooth over 2 x 2
//   pixels, too large where it is not.
// - else, a linear A with m > rank: |y - A A^+ y| / sqrt(m - rank), unbiased for noise_std^2.
// Throws Error(measurement.noise.estimate) where neither applies.
double estimate_noise_std(const Tensor& y, const ForwardOperator& forward);

// Gibbs sampling of p(x, v | y), v = noise_std^2, under an inverse gamma law of v (shape a, scale b):
//   x | v, y       by any method that takes Gaussian noise
//   v | x, y   ~   inverse gamma(a + m / 2, b + |y - h(x)|^2 / 2)
// Each draw is the end of a chain of its own, whose invariant law is the joint posterior as far as the
// method's is the posterior. Little is learned of v where the prior explains any y (m not above the rank of
// A): chains are then slow, which R-hat tells.
struct NoiseGibbsOptions {
  int64_t sweeps = 50;  // >= 1, of each chain
  // a > -m / 2, b >= 0. -0.5 and 0 are flat in noise_std; 0 and 0 (Jeffreys) have no posterior where A Cov[x]
  // A^T is regular: chains would end at v = 0.
  double prior_shape = -0.5, prior_scale = 0;
};

// method: of one thread, for one draw of one case at a time; problem: its noise_std > 0 is where chains
// start, each at that times exp(n / 2). Draws.noise_std are the draws of the level; warns where R-hat over
// the second halves of the chains is above 1.1.
Draws sample_with_noise(const NoiseGibbsOptions& options, const PosteriorSampler& method,
                        const Problem& problem, int64_t draws, const Noise& noise, const Observer& observer,
                        int64_t threads = 0);

}  // namespace tweedie
