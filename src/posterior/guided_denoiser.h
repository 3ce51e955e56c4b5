#pragma once
// What every guidance has: the prior, the likelihood, y for each row, and the tally of its work.

#include "core/shape.h"
#include "tweedie/guidance.h"

namespace tweedie {

class GuidedDenoiser : public Denoiser {
 public:
  // Throws Error(method.y) unless y is a batch of the likelihood's measurements.
  GuidedDenoiser(const char* method, std::shared_ptr<const Denoiser> prior,
                 const GaussianLikelihood& likelihood, Tensor y, Tally* tally)
      : prior_(std::move(prior)), likelihood_(likelihood), y_(std::move(y)), tally_(tally) {
    require_batch_of(y_, likelihood_.forward().codomain(), std::string(method) + ".y");
  }
  Shape shape() const final { return prior_->shape(); }

 protected:
  // D and its vjp at x; sigma as do_mean is given it
  Linearised linearise_prior(const Tensor& x, const Tensor& sigma) const {
    return linearise(*prior_, x, sigma.dim() == 0 ? sigma : sigma.flatten());
  }
  double noise_variance() const { return likelihood_.noise_std() * likelihood_.noise_std(); }
  // One evaluation of the prior with so many vjps and operator applications, for each of the rows
  void count(int64_t rows, int64_t vjps, int64_t operator_applications) const {
    if (tally_ == nullptr) return;
    tally_->evaluations += rows;
    tally_->vjps += rows * vjps;
    tally_->operator_applications += rows * operator_applications;
  }

  std::shared_ptr<const Denoiser> prior_;
  GaussianLikelihood likelihood_;
  Tensor y_;
  Tally* tally_;
};

}  // namespace tweedie
