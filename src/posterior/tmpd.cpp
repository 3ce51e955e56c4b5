// Tweedie moment projected diffusion. Boys, Girolami, Pidstrigach, Reich, Mosca, Akyildiz, "Tweedie moment
// projected diffusions for inverse problems", TMLR 2024 (arXiv 2310.06721, 2023), in the row-sum form of the
// experiments: A V A^T is replaced by the diagonal matrix of A V A^T 1, with 1 the vector of ones in the
// space of y.
//
//   V = sigma^2 J^T                                        (Tweedie's covariance formula)
//   c = noise_std^2 + max(0, A V A^T 1)                    (one vjp)
//   D_y = D + V A^T ((y - A D) / c)                        (another)
//
// A row of a covariance matrix may sum to less than its diagonal entry, even to less than 0; no variance of y
// lies below that of its noise.

#include "posterior/guided_denoiser.h"

#include <ATen/ATen.h>

namespace tweedie {

namespace {

class Tmpd final : public GuidedDenoiser {
 public:
  Tmpd(DenoiserPtr prior, const Likelihood& likelihood, Tensor y, Tally* tally)
      : GuidedDenoiser("tmpd", std::move(prior), likelihood, std::move(y), tally) {}

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const LinearOperator& a = *likelihood_.linear();
    const Linearised prior = linearise_prior(x, sigma);
    const auto covariance_of_x = [&](const Tensor& v) { return sigma.square() * prior.vjp(v); };
    const Tensor row_sums = a.apply(covariance_of_x(a.adjoint(at::ones_like(y_))));
    const Tensor variance = noise_variance() + row_sums.clamp_min(0);
    count(x.size(0), 2, 4);
    return prior.mean + covariance_of_x(a.adjoint((y_ - a.apply(prior.mean)) / variance));
  }
};

}  // namespace

DenoiserPtr guide(const TmpdOptions&, DenoiserPtr prior, const Likelihood& likelihood, Tensor y,
                  Tally* tally) {
  require_linear(likelihood, "tmpd");
  require_noise(likelihood, "tmpd");
  return std::make_shared<Tmpd>(std::move(prior), likelihood, std::move(y), tally);
}

}  // namespace tweedie
