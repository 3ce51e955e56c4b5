#pragma once
// Probabilistic principal components (Tipping and Bishop, JRSS B 1999): x = m + W z + sigma n, z ~ N(0, I_q).
// The likelihood has its maximum in closed form.

#include "tweedie/gaussian_prior.h"

namespace tweedie {

struct Ppca {
  Tensor mean;            // (*shape), of the data
  Tensor factor;          // W = U_q (L_q - sigma^2 I)^(1/2), (d, q), columns by falling eigenvalue
  double noise_variance;  // sigma^2: the mean of the d - q discarded eigenvalues of the sample covariance
  double log_likelihood;  // of the data, nats a row: -1/2 (d ln 2 pi + sum_q ln l_i + (d - q) ln sigma^2 + d)

  GaussianPrior prior() const;  // N(m, W W^T + sigma^2 I)
};

// data: (N, *shape), N >= 2, float32 or float64; latent: q, 0 <= q < d. Computed in float64. Throws Error on
// bad input, and where the data lie in a subspace of q dimensions, so that the likelihood has no maximum.
Ppca fit_ppca(const Tensor& data, int64_t latent);

}  // namespace tweedie
