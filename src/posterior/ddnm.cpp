// The denoising diffusion null-space model. Wang, Yu, Zhang, "Zero-shot image restoration using denoising
// diffusion null-space model", ICLR 2023, eq. 13: what was measured is taken from y, the null space of A from
// the prior.
//
//   D_y = A^+ y + (I - A^+ A) D = D + A^+ (y - A D)

#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

class Ddnm final : public GuidedDenoiser {
 public:
  Ddnm(DenoiserPtr prior, const Likelihood& likelihood, Tensor y, Tally* tally)
      : GuidedDenoiser("ddnm", std::move(prior), likelihood, std::move(y), tally) {}

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const LinearOperator& a = *likelihood_.linear();
    const Tensor mean = prior_->mean(x, flat_sigma(sigma));
    count(x.size(0), 0, 2);
    return mean + a.pseudo_inverse(y_ - a.apply(mean));
  }
};

}  // namespace

DenoiserPtr guide(const DdnmOptions&, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally) {
  require_linear(likelihood, "ddnm");
  return std::make_shared<Ddnm>(std::move(prior), likelihood, std::move(y), tally);
}

}  // namespace tweedie
