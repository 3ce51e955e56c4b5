// Filtering posterior sampling by sequential Monte Carlo. Dou and Song, "Diffusion posterior sampling for
// linear inverse problem solving: a filtering perspective", ICLR 2024, in x_sigma and the singular
// coordinates of A.
//   path       y_T = y + sigma_T A n,   y_s = y + a (y_t - y) + c A n: as y walks when x does
//   weight     prod_i N(y_s,i; (V^T m)_i, c^2 + level_i^2)
//   proposal   the prior's step N(m, c^2 I) fused with N(y_s; A x_s, noise_std^2 I)

#include "posterior/guided_rows.h"
#include "posterior/particle_engine.h"
#include "posterior/prior_step.h"
#include "posterior/singular.h"

#include "core/shape.h"

#include <ATen/ATen.h>
namespace tweedie {

namespace {

class Fps final : public ParticleModel {
 public:
  // basis and rows (V^T in the particles' dtype) outlive the model; y: (*codomain)
  Fps(const FpsOptions& options, const Denoiser& prior, const NoiseSchedule& schedule,
      const SingularBasis& basis, const Tensor& rows, const Tensor& y, const Noise& of_chain)
      : prior_(prior), rows_(rows), initial_std_(schedule.initial_std) {
    Noise noise = of_chain.stream(Stream::measurement);
    const Tensor target = basis.target(y);
    const double *sigma = schedule.sigma.data_ptr<double>(), *level = basis.level.data_ptr<double>();
    const auto normal = [&] { return noise.normal({1, basis.count()}, at::kDouble)[0]; };
    Tensor path = target + sigma[0] * normal();
    for (int64_t k = 0; k < schedule.steps(); ++k) {
      const PriorStep prior_step(sigma[k], sigma[k + 1], options.eta);
      path = target + prior_step.keep * (path - target);
      if (prior_step.std > 0) path = path + prior_step.std * normal();
      const Tensor predicted = prior_step.variance() + basis.level.square();
      // Without noise of either kind the last weight would be all or nothing: floored at the level before.
      const Tensor variance =
          at::where(predicted.gt(0), predicted, at::full({}, sigma[k] * sigma[k], at::kDouble));
      Step step{prior_step, path, variance, {}};
      const double* aim = path.data_ptr<double>();
      for (int64_t i = 0; i < basis.count(); ++i) {
        step.moves.push_back(GuidedMove::towards(aim[i], level[i] * level[i], prior_step.std));
      }
      steps_.push_back(std::move(step));
    }
  }

  Particles start(int64_t rows, Noise& noise) const override {
    return {noise.normal({rows, carried()}, rows_.scalar_type()) * initial_std_, {}};
  }

  Look look(const Tensor& x, int64_t k, const Tensor& mean) const override {
    const Step& step = steps_[k];
    const Tensor denoised = prior_.mean(x.view(with_batch(x.size(0), prior_.shape())), step.prior.from);
    mean.copy_(step.prior.mean(x, denoised.flatten(1)));
    const Tensor r = at::matmul(mean, rows_.t()).to(at::kDouble) - step.path;
    return {-0.5 * (r.square() / step.variance + step.variance.log()).sum(1), {}};
  }

  Particles move(const Tensor& mean, const Tensor& parent, int64_t k, Noise& noise) const override {
    return {move_rows(rows_, steps_[k].moves, mean, parent, steps_[k].prior.std, noise), {}};
  }

  Tensor finish(const Tensor&) const override { return {}; }
  int64_t carried() const override { return rows_.size(1); }
  double log_constant() const override { return 0; }

 private:
  struct Step {
    PriorStep prior;
    Tensor path, variance;  // (k): y_s, and that of its prediction
    std::vector<GuidedMove> moves;
  };

  const Denoiser& prior_;
  const Tensor& rows_;  // (k, d)
  double initial_std_;
  std::vector<Step> steps_;
};

Draws run_fps(const FpsOptions& options, const ParticleTask& task) {
  const Problem& problem = task.problem;
  const SingularBasis basis = SingularBasis::of(problem.likelihood, FpsOptions::kind);
  const Tensor rows = basis.svd.v.t().to(task.draw.dtype).contiguous();
  const ParticleRun run{.method = FpsOptions::kind,
                        .steps = task.schedule.steps(),
                        .evidence = false,
                        .vjps = 0,
                        .operator_applications = 2,
                        .model = [&](int64_t c, const Noise& of_chain) {
                          return std::make_unique<Fps>(options, *problem.prior, task.schedule, basis, rows,
                                                       problem.y[c], of_chain);
                        }};
  return run_particles(run, options.smc, task);
}

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const FpsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw) {
  require_eta(options.eta);
  return std::make_unique<ParticleSampler<FpsOptions>>(run_fps, options, std::move(schedule), draw);
}

}  // namespace tweedie
