#pragma once
// The exact posterior of x ~ N(m, Sigma) given y = A x + noise_std n, n ~ N(0, I):
//   S = A Sigma A^T + noise_std^2 I,   K = Sigma A^T S^{-1},
//   E[x | y] = m + K (y - A m),   Cov[x | y] = Sigma - K A Sigma,   p(y) = N(y; A m, S).
// S is factorised once, so many y cost one matrix product.

#include "tweedie/gaussian_prior.h"

#include <mutex>

namespace tweedie {

class GaussianPosterior final : public ExactPosterior {
 public:
  // matrix: A (m, d) over the flat coordinates of the prior; noise_std >= 0. Throws Error when S is singular.
  GaussianPosterior(GaussianPrior prior, const Tensor& matrix, double noise_std);

  // All float64. y: (C, m), one row for each case.
  Tensor mean(const Tensor& y) const override;
  Tensor log_evidence(const Tensor& y) const override;

  // The same for every y
  Tensor covariance() const;  // (d, d)
  Tensor variance() const;    // its diagonal, (*shape)

  // Draws (N, *shape) for one y: (m). Matheron's rule: x + K (y - A x - noise_std n) with x from the prior.
  Tensor sample(const Tensor& y, int64_t draws, Noise& noise) const override;
  std::shared_ptr<const AnalyticPrior> given(const Tensor& y) const override;

 private:
  Tensor residual(const Tensor& y) const;  // y - A m

  GaussianPrior prior_;
  Tensor matrix_;  // A
  double noise_std_;
  Tensor cholesky_;   // L, S = L L^T
  Tensor half_gain_;  // L^{-1} A Sigma (m, d)
  Tensor gain_;       // K^T (m, d)

  struct Spectrum {  // of the posterior covariance, the same for every y, computed when it is first needed
    std::once_flag once;
    Tensor value, basis;
  };
  std::shared_ptr<Spectrum> spectrum_ = std::make_shared<Spectrum>();
};

}  // namespace tweedie
