// Moment matching posterior sampling. Rozet, Andry, Lanusse, Louppe, "Learning diffusion priors from
// observations by expectation maximization", NeurIPS 2024, section 4 and algorithm 3.
//
//   V = Cov[x_0 | x_sigma] = sigma^2 J^T                           (Tweedie's covariance formula)
//   (noise_std^2 I + A V A^T) u = y - A D                          (conjugate gradients)
//   D_y = D + V A^T u

#include "core/conjugate_gradient.h"
#include "core/rows.h"
#include "posterior/guided_denoiser.h"
#include "posterior/local_posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

class Mmps final : public GuidedDenoiser {
 public:
  Mmps(const MmpsOptions& options, std::shared_ptr<const Denoiser> prior, const Likelihood& likelihood,
       Tensor y, Tally* tally)
      : GuidedDenoiser("mmps", std::move(prior), likelihood, std::move(y), tally), options_(options) {}

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    const LinearOperator& a = *likelihood_.linear();
    const Linearised prior = linearise_prior(x, sigma);

    // V A^T p is kept for each direction p of the solve: with u = sum_k s_k p_k, V A^T u = sum_k s_k V A^T
    // p_k costs no further derivative.
    std::vector<Tensor> directions;
    const BatchMap covariance_of_y = [&](const Tensor& p) {
      directions.push_back(sigma.square() * prior.vjp(a.adjoint(p)));
      return noise_variance() * p + a.apply(directions.back());
    };
    // With V ~ sigma^2 I the matrix is sigma^2 (A A^T + noise_std^2 / sigma^2 I).
    const Tensor shift = (noise_variance() / sigma.to(at::kDouble).square()).flatten().expand({x.size(0)});
    BatchMap precondition;
    if (a.preconditions_gram()) {
      precondition = [&](const Tensor& r) {
        const auto solve = [&](const Tensor& b, double lambda) { return a.precondition_gram(b, lambda); };
        return solve_rows(solve, r, shift);
      };
    }
    // V is a covariance, so no curvature lies below noise_variance; a network's V that says otherwise is not
    // believed.
    const auto solve = conjugate_gradient(covariance_of_y, y_ - a.apply(prior.mean),
                                          {.max_iterations = options_.iterations,
                                           .tolerance = options_.tolerance,
                                           .min_curvature = 0.5 * noise_variance(),
                                           .keep_best = a.preconditions_gram()},
                                          precondition);
    Tensor mean = prior.mean;
    for (size_t k = 0; k < solve.steps.size(); ++k)
      mean = mean + per_row(solve.steps[k], mean) * directions[k];

    const int64_t vjps = static_cast<int64_t>(directions.size());
    count(x.size(0), vjps, 1 + 2 * vjps);
    if (tally_ != nullptr) {
      tally_->solves += x.size(0);
      tally_->broken_solves += solve.broken.sum().item<int64_t>();
    }
    return mean;
  }

 private:
  MmpsOptions options_;
};

}  // namespace

std::shared_ptr<const Denoiser> guide(const MmpsOptions& options, std::shared_ptr<const Denoiser> prior,
                                      const Likelihood& likelihood, Tensor y, Tally* tally) {
  require_linear(likelihood, "mmps");
  if (options.iterations < 1) {
    throw Error("method.iterations", fmt::format("{}: at least 1 is needed", options.iterations));
  }
  if (!(options.tolerance >= 0)) {
    throw Error("method.tolerance", fmt::format("{}: at least 0 is needed", options.tolerance));
  }
  return std::make_shared<Mmps>(options, std::move(prior), likelihood, std::move(y), tally);
}

}  // namespace tweedie
