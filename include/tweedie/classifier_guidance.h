#pragma once
// Guidance by what else is known of x: a denoiser that was given it, or a classifier of noisy x.

#include "tweedie/denoiser.h"

#include <memory>

namespace tweedie {

// Classifier-free guidance, Ho and Salimans 2022, with gamma = w + 1:
//   D_gamma = D + gamma (D_c - D),  D_c the denoiser given the condition c.
// gamma = 1 is D_c. Otherwise the law that a sampler reaches is neither p(x | c) nor p(x) p(c | x)^gamma:
// their scores at sigma > 0 are not the ones mixed here. scale: gamma >= 0, finite.
std::shared_ptr<const Denoiser> classifier_free(double scale, std::shared_ptr<const Denoiser> unconditional,
                                                std::shared_ptr<const Denoiser> conditional);

// log p(c | x_sigma = x) of one condition c, differentiable in x.
class Classifier {
 public:
  virtual ~Classifier() = default;
  // x: (B, *shape) float32 or float64; sigma: () or (B) > 0. Returns nats, (B), outside autograd.
  Tensor log_prob(const Tensor& x, const Tensor& sigma) const;
  // grad_x log p(c | x_sigma = x), (B, *shape)
  Tensor gradient(const Tensor& x, const Tensor& sigma) const;

 protected:
  static void check_input(const Tensor& x, const Tensor& sigma);
  virtual Tensor do_log_prob(const Tensor& x, const Tensor& sigma) const = 0;
  // By autograd through do_log_prob. A classifier that knows its gradient overrides it.
  virtual Tensor do_gradient(const Tensor& x, const Tensor& sigma) const;
};

// Classifier guidance, Dhariwal and Nichol 2021:
//   D + gamma sigma^2 grad log p(c | x_sigma).
// gamma = 1 is exact where the classifier is that of noisy x. It has no vjp. scale: gamma >= 0, finite.
std::shared_ptr<const Denoiser> classifier_guided(double scale, std::shared_ptr<const Denoiser> prior,
                                                  std::shared_ptr<const Classifier> classifier);

}  // namespace tweedie
