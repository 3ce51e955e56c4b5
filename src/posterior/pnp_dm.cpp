// PnP-DM. Wu, Sun, Chen, Zhang, Yue, Bouman, "Principled probabilistic imaging using diffusion models as
// plug-and-play priors", NeurIPS 2024, algorithm 1: Gibbs sampling of p(x) N(z; x, rho^2 I) p(y | z),
//   z ~ p(y | z) N(z; x, rho^2 I)
//   x ~ p(x) N(z; x, rho^2 I) = p(x_0 | x_rho = z), by the reverse SDE from level rho
// whose x-marginal is p(x) times the integral of p(y | z) over z ~ N(x, rho^2 I): for y = A z + noise the
// posterior under noise of covariance noise_std^2 I + rho^2 A A^T. Annealed from the schedule's first level
// to rho_min.

#include "posterior/local_posterior.h"
#include "tweedie/ddim.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace tweedie {

namespace {

class PnpDm final : public PosteriorSampler {
 public:
  PnpDm(const PnpDmOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_density(problem.likelihood, "pnp-dm");
    const LocalPosterior local(options_.inner, problem, "pnp-dm");
    const LoopRun run{problem, draws, noise, observer, draw_options_, schedule_.steps()};
    return run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule_.sigma.data_ptr<double>();
      Noise moves = rows.moves();
      Tensor x = at::zeros_like(rows.start(1));  // flat beside the first rho
      for (int64_t k = 0; k < schedule_.steps(); ++k) {
        const double rho = std::max(level[k], options_.rho_min);
        const Tensor z = local.draw(rows, x, rows.each(rho * rho), moves);
        x = walk(rows.prior, Ddim({.eta = 1}), reverse(rho), z, moves);
        rows.slice.step_done(x);
      }
      return x;
    });
  }

 private:
  // Levels of the reverse SDE, those of EDM. Below a thousandth of rho nothing is left to know of x.
  NoiseSchedule reverse(double rho) const {
    return make_schedule(Karras{.sigma_min = 1e-3 * rho, .sigma_max = rho}, options_.reverse_steps);
  }

  PnpDmOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const PnpDmOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw_options) {
  require_positive(options.rho_min, "method.rho_min");
  require_at_least(options.reverse_steps, 1, "method.reverse_steps");
  return std::make_unique<PnpDm>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
