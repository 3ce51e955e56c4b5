#pragma once
// p(y | x): a forward operator and a noise model.

#include "tweedie/noise_model.h"
#include "tweedie/operator.h"

namespace tweedie {

// p(y | x) = p(y | z), z = h(x), with m = product of the codomain's extents. Copies share what they are made
// of.
class Likelihood {
 public:
  Likelihood(std::shared_ptr<const ForwardOperator> forward, NoiseModelPtr noise);

  const ForwardOperator& forward() const { return *forward_; }
  std::shared_ptr<const ForwardOperator> forward_ptr() const { return forward_; }
  // The operator as a linear one, or nullptr.
  const LinearOperator* linear() const { return linear_; }
  const NoiseModel& noise() const { return *noise_; }
  NoiseModelPtr noise_ptr() const { return noise_; }

  // Of Gaussian noise that is the same in every entry; for methods that know no other. Throws
  // Error(method.kind) for other noise.
  double noise_std() const;
  // False only for a measurement without noise
  bool has_density() const { return noise_->noise_std() != 0.0; }

  // log p(y | x) in nats, (B) float64; x: (B, *domain), y: (B, *codomain) or (*codomain), each float32 or
  // float64. Throws Error on a wrong shape or dtype. Carries no gradient.
  Tensor log_prob(const Tensor& y, const Tensor& x) const;
  // One y for each x: (B, *domain) -> (B, *codomain)
  Tensor simulate(const Tensor& x, Noise& noise) const;
  // Mean over coordinates of the squared residuals (noise_model.h) for each row, (B) float64: 1 in
  // expectation at the true x, with variance 2 / m. `noise` spreads those of counts.
  Tensor residual_chi2(const Tensor& y, const Tensor& x, Noise noise = Noise(0)) const;

 private:
  // y with an axis of rows, one or as many as x has
  Tensor rows_of(const Tensor& y, const Tensor& x) const;

  std::shared_ptr<const ForwardOperator> forward_;
  const LinearOperator* linear_;
  NoiseModelPtr noise_;
};

// y = h(x) + noise_std n, n ~ N(0, I)
class GaussianLikelihood : public Likelihood {
 public:
  // Throws Error unless noise_std, in the units of y, is finite and >= 0. Without noise there is no density:
  // what needs one throws Error.
  GaussianLikelihood(std::shared_ptr<const ForwardOperator> forward, double noise_std)
      : Likelihood(std::move(forward), make_gaussian_noise(noise_std)) {}
};

}  // namespace tweedie
