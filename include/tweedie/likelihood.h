#pragma once
// p(y | x): a forward operator and a noise model.

#include "tweedie/noise.h"
#include "tweedie/operator.h"

namespace tweedie {

// y = h(x) + noise_std n, n ~ N(0, I), with m = product of the codomain's extents
class GaussianLikelihood {
 public:
  // Throws Error unless noise_std, in the units of y, is finite and >= 0. Without noise there is no density:
  // what needs one throws Error.
  GaussianLikelihood(std::shared_ptr<const ForwardOperator> forward, double noise_std);

  const ForwardOperator& forward() const { return *forward_; }
  // The operator as a linear one, or nullptr.
  const LinearOperator* linear() const { return linear_; }
  double noise_std() const { return noise_std_; }

  // log N(y; h(x), noise_std^2 I) in nats, (B) float64; x: (B, *domain), y: (B, *codomain) or (*codomain),
  // each float32 or float64. Throws Error on a wrong shape or dtype. Carries no gradient.
  Tensor log_prob(const Tensor& y, const Tensor& x) const;
  // One y for each x: (B, *domain) -> (B, *codomain)
  Tensor simulate(const Tensor& x, Noise& noise) const;
  // Mean over coordinates of ((y - h(x)) / noise_std)^2 for each row, (B) float64: 1 in expectation at the
  // true x, with variance 2 / m
  Tensor residual_chi2(const Tensor& y, const Tensor& x) const;

 private:
  // sum over coordinates of ((y - h(x)) / noise_std)^2, (B)
  Tensor chi2(const Tensor& y, const Tensor& x) const;

  std::shared_ptr<const ForwardOperator> forward_;
  const LinearOperator* linear_;
  double noise_std_;
};

}  // namespace tweedie
