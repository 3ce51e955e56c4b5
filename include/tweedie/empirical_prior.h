#pragma once
// The law of a finite data set, x ~ 1/N sum_i delta(x - x_i): the denoiser that a network would reach if it
// could memorise its training data.
//   r_i proportional to exp(-|x - x_i|^2 / (2 sigma^2)),  D = sum_i r_i x_i,  V = sum_i r_i (x_i - D)(x_i -
//   D)^T

#include "tweedie/analytic_prior.h"

namespace tweedie {

class EmpiricalPrior final : public AnalyticPrior {
 public:
  // data: (N, *shape), finite, float32 or float64, kept in float64; weights: (N), >= 0 with sum 1, or
  // undefined for equal ones
  explicit EmpiricalPrior(Tensor data, Tensor weights = {});

  Shape shape() const override;
  Tensor sample(int64_t draws, Noise& noise, at::ScalarType dtype = at::kDouble) const override;
  // Throws Error at sigma = 0, where there is no density.
  Tensor log_prob(const Tensor& x, double sigma) const override;
  // noise_std > 0
  std::unique_ptr<const ExactPosterior> condition(const Tensor& matrix, double noise_std) const override;

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override;
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override;

 private:
  // log of the unnormalised responsibilities (B, N), float64
  Tensor log_responsibilities(const Tensor& x, const Tensor& sigma) const;

  Tensor data_;         // (N, *shape) float64
  Tensor half_square_;  // (N): |x_i|^2 / 2
  Tensor log_weight_;   // (N) float64
};

}  // namespace tweedie
