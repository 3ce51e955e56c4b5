#pragma once
// x ~ sum_k w_k N(m_k, Sigma_k). With S_k = Sigma_k + sigma^2 I, responsibilities r_k proportional to
// w_k N(x; m_k, S_k) and D_k = m_k + Sigma_k S_k^{-1} (x - m_k):
//   D = sum_k r_k D_k,   V = sum_k r_k (sigma^2 Sigma_k S_k^{-1} + D_k D_k^T) - D D^T.
// Each covariance is U_k diag(lambda_k) U_k^T + rest_k (I - U_k U_k^T) with U_k (d, r) orthonormal, so that
// isotropic (r = 0), low-rank and full (r = d) components share one form. Singular covariances are allowed.

#include "tweedie/analytic_prior.h"

#include <optional>

namespace tweedie {

class MixturePrior final : public AnalyticPrior {
 public:
  // weights: (K), >= 0, summing to 1 within 1e-6; means: (K, *shape). Every array is float32 or float64,
  // finite.

  // std: () or (K), >= 0
  static MixturePrior isotropic(const Tensor& weights, const Tensor& means, const Tensor& std);
  // variances: (K, *shape), >= 0
  static MixturePrior diagonal(const Tensor& weights, const Tensor& means, const Tensor& variances);
  // covariances: (K, d, d), symmetric and positive semidefinite, or Error with the smallest eigenvalue
  static MixturePrior full(const Tensor& weights, const Tensor& means, const Tensor& covariances);
  // Sigma_k = F_k F_k^T + rest_k I; factors: (K, d, r), rest: () or (K), >= 0
  static MixturePrior low_rank(const Tensor& weights, const Tensor& means, const Tensor& factors,
                               const Tensor& rest);

  Shape shape() const override { return shape_; }
  int64_t components() const;
  Tensor weights() const;      // (K) float64
  Tensor means() const;        // (K, d) float64
  Tensor covariances() const;  // (K, d, d) float64

  Tensor sample(int64_t draws, Noise& noise, at::ScalarType dtype = at::kDouble) const override;
  Tensor log_prob(const Tensor& x, double sigma = 0) const override;
  std::unique_ptr<const ExactPosterior> condition(const Tensor& matrix, double noise_std) const override;
  // r_k(x), (B, K) of x's dtype: the probability of each component given x_sigma = x. sigma: () or (B)
  Tensor responsibilities(const Tensor& x, const Tensor& sigma) const;

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override;

 private:
  struct Components;
  struct Terms;
  friend class MixturePosterior;
  MixturePrior(Shape shape, std::shared_ptr<const Components> components);

  const Components& in(const Tensor& x) const;
  Terms terms(const Tensor& x, const Tensor& sigma) const;
  std::optional<Tensor> fast_mean(const Tensor& x, const Tensor& sigma) const;

  Shape shape_;
  std::shared_ptr<const Components> components_;
};

}  // namespace tweedie
