#pragma once
// What every guidance has: the prior, the likelihood, y for each row, and the tally of its work.

#include "core/shape.h"
#include "tweedie/analytic_prior.h"
#include "tweedie/guidance.h"

namespace tweedie {

// Throws Error(method.kind) for other noise than Gaussian noise that is the same in every entry, naming the
// methods that take it.
void require_gaussian(const Likelihood& likelihood, const char* method);
// The likelihood's operator under Gaussian noise; throws Error(method.kind) when it is not linear, or the
// noise another.
const LinearOperator& require_linear(const Likelihood& likelihood, const char* method);
// Throws Error(measurement.noise.std) when there is no noise, for methods that divide by its standard
// deviation or follow log p(y | x), whatever the noise.
void require_density(const Likelihood& likelihood, const char* method);
// Both: Gaussian noise, and not none of it
void require_noise(const Likelihood& likelihood, const char* method);
// The prior as an analytic one, or Error(method.kind).
std::shared_ptr<const AnalyticPrior> require_analytic(const DenoiserPtr& prior, const char* method);

// The same denoiser, its evaluations and vjps added to the tally; itself where there is none.
DenoiserPtr counted(DenoiserPtr denoiser, Tally* tally);
// Work per draw from what was counted over so many rows, those that fill up a slice among them.
void record_work(RunRecord& record, const Tally& tally, int64_t rows);

// sigma as do_mean is given it, () or (B, 1, ..., 1), as mean() and linearise() take it
inline Tensor flat_sigma(const Tensor& sigma) {
  return sigma.dim() == 0 ? sigma : sigma.flatten();
}

class GuidedDenoiser : public Denoiser {
 public:
  // Throws Error(method.y) unless y is a batch of the likelihood's measurements.
  GuidedDenoiser(const char* method, std::shared_ptr<const Denoiser> prior, const Likelihood& likelihood,
                 Tensor y, Tally* tally)
      : prior_(std::move(prior)), likelihood_(likelihood), y_(std::move(y)), tally_(tally) {
    require_batch_of(y_, likelihood_.forward().codomain(), std::string(method) + ".y");
  }
  Shape shape() const final { return prior_->shape(); }

 protected:
  // D and its vjp at x; sigma as do_mean is given it
  Linearised linearise_prior(const Tensor& x, const Tensor& sigma) const {
    return linearise(*prior_, x, flat_sigma(sigma));
  }
  // Of Gaussian noise
  double noise_variance() const { return likelihood_.noise_std() * likelihood_.noise_std(); }
  // One evaluation of the prior with so many vjps and operator applications, for each of the rows
  void count(int64_t rows, int64_t vjps, int64_t operator_applications) const {
    if (tally_ == nullptr) return;
    tally_->evaluations += rows;
    tally_->vjps += rows * vjps;
    tally_->operator_applications += rows * operator_applications;
  }

  std::shared_ptr<const Denoiser> prior_;
  Likelihood likelihood_;
  Tensor y_;
  Tally* tally_;
};

}  // namespace tweedie
