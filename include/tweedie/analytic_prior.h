#pragma once
// Priors of which everything is closed form at every noise level: D and V (through mean() and linearise()),
// the density of x_sigma, draws, and the posterior under a linear Gaussian measurement. They are what
// samplers are held against.

#include "tweedie/denoiser.h"
#include "tweedie/noise.h"

#include <memory>

namespace tweedie {

class ExactPosterior;

class AnalyticPrior : public Denoiser {
 public:
  int64_t dimension() const;

  // N draws (N, *shape)
  virtual Tensor sample(int64_t draws, Noise& noise, at::ScalarType dtype = at::kDouble) const = 0;
  // log p_sigma(x) in nats, (B) float64: the density of x_0 + sigma n. Throws Error where there is none.
  virtual Tensor log_prob(const Tensor& x, double sigma = 0) const = 0;
  // y = A x + noise_std n, n ~ N(0, I): matrix A (m, d) over the flat coordinates, noise_std >= 0. Factorised
  // once for any number of y. Throws Error when the covariance of y is singular.
  virtual std::unique_ptr<const ExactPosterior> condition(const Tensor& matrix, double noise_std) const = 0;
};

// p(x | y) and p(y), all float64.
class ExactPosterior {
 public:
  virtual ~ExactPosterior() = default;

  // y: (C, m), one row for each case
  virtual Tensor mean(const Tensor& y) const = 0;          // E[x | y], (C, *shape)
  virtual Tensor log_evidence(const Tensor& y) const = 0;  // log p(y) in nats, (C)

  // For one y: (m)
  virtual Tensor sample(const Tensor& y, int64_t draws, Noise& noise) const = 0;  // (N, *shape)
  // p(x | y) as a prior of its own. Its denoiser is E[x_0 | x_sigma, y], the one that exact guidance would
  // make: D + sigma^2 grad log p(y | x_sigma).
  virtual std::shared_ptr<const AnalyticPrior> given(const Tensor& y) const = 0;
};

}  // namespace tweedie
