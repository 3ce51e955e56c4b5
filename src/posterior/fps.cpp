// Filtering posterior sampling by sequential Monte Carlo. Dou and Song, "Diffusion posterior sampling for
// linear inverse problem solving: a filtering perspective", ICLR 2024, in x_sigma and the singular
// coordinates of A.
//   path       y_T = y + sigma_T A n,   y_s = y + a (y_t - y) + c A n: the walk that y takes when x takes the
//   prior's weight     prod_i N(y_s,i; (V^T m)_i, c^2 + level_i^2) proposal   the prior's step N(m, c^2 I)
//   fused with N(y_s; A x_s, noise_std^2 I)

#include "posterior/particle_engine.h"
#include "posterior/prior_step.h"
#include "posterior/singular.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

class Fps final : public ParticleModel {
 public:
  Fps(const FpsOptions& options, const Denoiser& prior, const NoiseSchedule& schedule,
      const SingularBasis& basis, const Tensor& v, const Tensor& y, const Noise& of_chain)
      : prior_(prior), schedule_(schedule), basis_(basis), v_(v) {
    Noise noise = of_chain.stream(Stream::measurement);
    const Tensor target = basis.target(y);
    const double* sigma = schedule.sigma.data_ptr<double>();
    const auto normal = [&] { return noise.normal({1, basis.count()}, at::kDouble)[0]; };
    path_.push_back(target + sigma[0] * normal());
    for (int64_t k = 0; k < schedule.steps(); ++k) {
      steps_.emplace_back(sigma[k], sigma[k + 1], options.eta);
      const Tensor mean = target + steps_[k].keep * (path_[k] - target);
      path_.push_back(steps_[k].std > 0 ? mean + steps_[k].std * normal() : mean);
    }
  }

  Particles start(int64_t rows, Noise& noise) const override {
    return {noise.normal({rows, v_.size(0)}, v_.scalar_type()) * schedule_.initial_std, {}};
  }

  Look look(const Tensor& x, int64_t k) const override {
    const PriorStep& step = steps_[k];
    Tensor m = step.mean(x, prior_.mean(x.view(with_batch(x.size(0), prior_.shape())), step.from).flatten(1));
    const Tensor variance = step.variance() + basis_.level.square();
    // Without noise of either kind the last weight would be all or nothing: floored at the level before.
    const Tensor predicted =
        at::where(variance.gt(0), variance, at::full({}, step.from * step.from, at::kDouble));
    const Tensor r = coordinates(m) - path_[k + 1];
    return {-0.5 * (r.square() / predicted + predicted.log()).sum(1), m, {}};
  }

  Particles move(const Tensor& m, int64_t k, Noise& noise) const override {
    const PriorStep& step = steps_[k];
    const Tensor level = basis_.level.square(), total = step.variance() + level;
    const Tensor gain = at::where(total.gt(0), step.variance() / total, at::ones_like(total));
    Tensor shift = gain * (path_[k + 1] - coordinates(m)), x = m;
    if (step.std > 0) {
      const Tensor z = noise.normal(m.sizes(), m.scalar_type());
      x = at::add(m, z, step.std);
      shift = shift + ((level * gain).sqrt() - step.std) * coordinates(z);
    }
    return {at::addmm(x, shift.to(x.scalar_type()), v_.t()), {}};
  }

  Tensor finish(const Tensor&) const override { return {}; }
  int64_t carried() const override { return v_.size(0); }
  double log_constant() const override { return 0; }

 private:
  Tensor coordinates(const Tensor& x) const { return at::matmul(x, v_).to(at::kDouble); }

  const Denoiser& prior_;
  const NoiseSchedule& schedule_;
  const SingularBasis& basis_;
  const Tensor& v_;           // (d, k)
  std::vector<Tensor> path_;  // (k) at each level
  std::vector<PriorStep> steps_;
};

class FpsSampler final : public PosteriorSampler {
 public:
  FpsSampler(FpsOptions options, NoiseSchedule schedule, DrawOptions draw)
      : options_(std::move(options)), schedule_(std::move(schedule)), draw_(draw) {
    if (!(options_.eta > 0 && options_.eta <= 1))
      throw Error("method.eta", fmt::format("{}: above 0, at most 1 is meant", options_.eta));
  }

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
    require_finite(problem.y, "measurement.y");
    const SingularBasis basis = SingularBasis::of(problem.likelihood, "fps");
    const Tensor v = basis.svd.v.to(draw_.dtype).contiguous();
    const ParticleRun run{
        problem.prior->shape(), schedule_.steps(), false, [&](int64_t c, const Noise& of_chain) {
          return std::make_unique<Fps>(options_, *problem.prior, schedule_, basis, v, problem.y[c], of_chain);
        }};
    Draws result = run_particles(run, options_.smc, "fps", draws, problem.cases(), noise, observer, draw_);
    count_work(result, draws, 1, 0);
    return result;
  }

 private:
  FpsOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const FpsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw) {
  return std::make_unique<FpsSampler>(options, std::move(schedule), draw);
}

}  // namespace tweedie
