#pragma once
// x ~ N(m, Sigma), the prior for which everything is closed form:
//   D(x; sigma) = m + Sigma (Sigma + sigma^2 I)^{-1} (x - m),   V = sigma^2 Sigma (Sigma + sigma^2 I)^{-1}.
// One representation serves full, diagonal and low-rank covariances,
//   Sigma = U diag(lambda) U^T + rest (I - U U^T),  U (d, r) orthonormal,
// so that each map costs O(d r) after one eigendecomposition in float64. Singular covariances are allowed.

#include "tweedie/analytic_prior.h"

#include <optional>

namespace tweedie {

class GaussianPrior final : public AnalyticPrior {
 public:
  // mean: (*shape), d coordinates in all. Every array is float32 or float64 and finite.

  // covariance: (d, d), symmetric and positive semidefinite, or Error with its smallest eigenvalue
  static GaussianPrior full(const Tensor& mean, const Tensor& covariance);
  // variance: (*shape), >= 0
  static GaussianPrior diagonal(const Tensor& mean, const Tensor& variance);
  // Sigma = F diag(variance) F^T + rest I; factor F: (d, r), variance: (r) >= 0, rest >= 0
  static GaussianPrior low_rank(const Tensor& mean, const Tensor& factor, const Tensor& variance,
                                double rest);
  // Maximum likelihood from data (N, *shape), N >= 2: the sample covariance (divisor N), or with a rank
  // probabilistic PCA (Tipping and Bishop 1999), whose rest is the mean of the discarded eigenvalues.
  static GaussianPrior fit(const Tensor& data, std::optional<int64_t> rank = std::nullopt);

  Shape shape() const override { return shape_; }

  Tensor sample(int64_t draws, Noise& noise, at::ScalarType dtype = at::kDouble) const override;
  // Throws Error when Sigma + sigma^2 I is singular.
  Tensor log_prob(const Tensor& x, double sigma = 0) const override;
  std::unique_ptr<const ExactPosterior> condition(const Tensor& matrix, double noise_std) const override;
  // Sigma v, row by row: (B, d) -> (B, d) float64
  Tensor covariance_times(const Tensor& v) const;

  // The flat mean (d) and the dense covariance (d, d), float64
  Tensor flat_mean() const { return exact_.mean; }
  Tensor covariance() const;

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override;

 private:
  friend class GaussianPosterior;
  // An undefined basis means the coordinate axes (r = d).
  struct Spectrum {
    Tensor mean, basis, value;  // (d), (d, r), (r)
  };
  GaussianPrior(Shape shape, Spectrum exact, double rest);

  Spectrum spectrum(const Tensor& like) const;  // in like's dtype and on its device
  template <class Function>
  Tensor apply(const Spectrum& s, const Tensor& v, Function f) const;  // f(Sigma) v for v (B, d)
  Tensor shrink(const Spectrum& s, const Tensor& v, const Tensor& sigma) const;

  Shape shape_;
  Spectrum exact_, single_;  // float64 and its float32 copy
  double rest_;
};

}  // namespace tweedie
