// Monte Carlo guided diffusion. Cardoso, Janati El Idrissi, Le Corff, Moulines, "Monte Carlo guided diffusion
// for Bayesian linear inverse problems", ICLR 2024, in the coordinate x_sigma and without its division at the
// levels where a measurement leaves.
//
// Given x_0, target_i has the law of coordinate i of V^T x_sigma at sigma = level_i. So p(x_0 | y) is the
// prior's walk conditioned on passing through target_i there. Until then the potential
//   g_sigma(x) = prod_i N((V^T x)_i; target_i, v_i),   v_i(sigma) = sigma^2 - level_i^2 + kappa (1 +
//   level_i^2),
// guides it. From t to s, over the coordinates with s >= level_i, with the prior's step N(m, c^2 I):
//   weight     prod_i N(target_i; (V^T m)_i, c^2 + v_i(s)) / g_t(x)
//   proposal   (V^T x')_i ~ N(K target_i + (1 - K) (V^T m)_i, K v_i(s)),   K = c^2 / (c^2 + v_i(s))
// and the prior's step for everything else. A coordinate whose level lies above the schedule's first is
// weighted by its likelihood at the end.

#include "posterior/guided_rows.h"
#include "posterior/particle_engine.h"
#include "posterior/prior_step.h"
#include "posterior/singular.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

class Mcgdiff final : public ParticleModel {
 public:
  // basis and rows (V^T in the particles' dtype) outlive the model; y: (*codomain)
  Mcgdiff(const McgdiffOptions& options, const Denoiser& prior, const NoiseSchedule& schedule,
          const SingularBasis& basis, const Tensor& rows, const Tensor& y)
      : prior_(prior),
        basis_(basis),
        rows_(rows),
        target_(basis.target(y)),
        initial_std_(schedule.initial_std),
        log_constant_(basis.log_jacobian(y)) {
    const double* sigma = schedule.sigma.data_ptr<double>();
    const double *level = basis.level.data_ptr<double>(), *target = target_.data_ptr<double>();
    // v_i(s)
    const auto potential_variance = [&](double s, int64_t i) {
      const double gap = s * s - level[i] * level[i];
      return (gap < rounding * s * s ? 0 : gap) + options.kappa * (1 + level[i] * level[i]);
    };
    // Coordinates are sorted by level, so those guided at sigma[k] come first.
    const auto count_guided = [&](int64_t k) {
      int64_t guided = 0;
      while (guided < basis.count() && level[guided] <= sigma[k] * (1 + rounding) && level[guided] < sigma[0])
        ++guided;
      return guided;
    };
    late_from_ = count_guided(0);
    for (int64_t i = 0; i < late_from_; ++i) {
      const double variance = potential_variance(sigma[0], i), total = initial_std_ * initial_std_ + variance;
      start_.push_back(GuidedMove::towards(target[i], variance, initial_std_));
      log_start_ -= 0.5 * (target[i] * target[i] / total + std::log(2 * std::numbers::pi * total));
    }
    for (int64_t k = 0; k < schedule.steps(); ++k) {
      Step step{{sigma[k], sigma[k + 1], options.eta}, {}, {}};
      const int64_t guided = count_guided(k + 1);
      for (int64_t i = 0; i < guided; ++i) {
        const double variance = potential_variance(sigma[k + 1], i), after = step.prior.variance() + variance;
        // With a noiseless measurement and neither noise nor floor left, the last weight is floored at the
        // level before.
        step.weights.push_back(
            {target[i], potential_variance(sigma[k], i), after > 0 ? after : sigma[k] * sigma[k]});
        step.moves.push_back(GuidedMove::towards(target[i], variance, step.prior.std));
      }
      steps_.push_back(std::move(step));
    }
  }

  Particles start(int64_t rows, Noise& noise) const override {
    const Tensor centre = at::zeros({1, carried()}, rows_.options());
    const Tensor x =
        move_rows(guided(start_.size()), start_, centre, at::zeros({rows}, at::kLong), initial_std_, noise);
    return {x, at::full({rows}, log_start_, at::kDouble)};
  }

  Look look(const Tensor& x, int64_t k, const Tensor& mean) const override {
    const auto& [prior, weights, moves] = steps_[k];
    const Tensor denoised = prior_.mean(x.view(with_batch(x.size(0), prior_.shape())), prior.from).flatten(1);
    return {weigh_rows(guided(weights.size()), weights, x, denoised, prior.keep, mean), {}};
  }

  Particles move(const Tensor& mean, const Tensor& parent, int64_t k, Noise& noise) const override {
    const auto& [prior, weights, moves] = steps_[k];
    return {move_rows(guided(moves.size()), moves, mean, parent, prior.std, noise), {}};
  }

  Tensor finish(const Tensor& x) const override {
    const int64_t late = basis_.count() - late_from_;
    if (late == 0) return {};
    const Tensor r = at::matmul(x, rows_.narrow(0, late_from_, late).t()).to(at::kDouble) -
                     target_.narrow(0, late_from_, late);
    const Tensor variance = basis_.level.narrow(0, late_from_, late).square();
    return -0.5 * (r.square() / variance + (2 * std::numbers::pi * variance).log()).sum(1);
  }

  int64_t carried() const override { return rows_.size(1); }
  double log_constant() const override { return log_constant_; }

 private:
  static constexpr double rounding = 1e-9;  // relative, of levels that are meant to be equal

  struct Step {
    PriorStep prior;
    std::vector<GuidedWeight> weights;  // of the coordinates guided at the step's end
    std::vector<GuidedMove> moves;
  };

  Tensor guided(size_t count) const { return rows_.narrow(0, 0, static_cast<int64_t>(count)); }

  const Denoiser& prior_;
  const SingularBasis& basis_;
  const Tensor& rows_;  // (k, d)
  Tensor target_;       // (k)
  double initial_std_;
  std::vector<GuidedMove> start_;
  double log_start_ = 0;   // of the evidence: prod_i N(target_i; 0, initial_std^2 + v_i)
  int64_t late_from_ = 0;  // coordinates from here on are weighted at the end
  std::vector<Step> steps_;
  double log_constant_;
};

// The schedule with the levels at which measurements are passed. More than `most` different ones are gathered
// on a geometric grid, each measurement's level moved to its nearest.
NoiseSchedule through_levels(const NoiseSchedule& schedule, Tensor& level, int64_t most, bool& gathered) {
  const double* sigma = schedule.sigma.data_ptr<double>();
  const double first = sigma[0];
  auto* value = level.data_ptr<double>();
  std::vector<double> levels(sigma, sigma + schedule.steps() + 1), passed;
  for (int64_t i = 0; i < level.size(0); ++i) {
    if (value[i] > 0 && value[i] < first && (passed.empty() || value[i] > passed.back() * (1 + 1e-9)))
      passed.push_back(value[i]);
  }
  gathered = static_cast<int64_t>(passed.size()) > most;
  if (gathered) {
    const double low = std::log(passed.front()),
                 step = (std::log(passed.back()) - low) / static_cast<double>(most - 1);
    for (int64_t i = 0; i < level.size(0); ++i) {
      if (value[i] > 0 && value[i] < first)
        value[i] = std::exp(low + std::round((std::log(value[i]) - low) / step) * step);
    }
    for (double& p : passed) p = std::exp(low + std::round((std::log(p) - low) / step) * step);
  }
  for (const double p : passed) levels.push_back(p);
  std::sort(levels.begin(), levels.end(), std::greater<>());
  levels.erase(
      std::unique(levels.begin(), levels.end(), [](double a, double b) { return a - b <= 1e-9 * a; }),
      levels.end());
  return {at::tensor(levels, at::kDouble), schedule.initial_std};
}

Draws run_mcgdiff(const McgdiffOptions& options, const ParticleTask& task) {
  const Problem& problem = task.problem;
  SingularBasis basis = SingularBasis::of(problem.likelihood, McgdiffOptions::kind);
  bool gathered = false;
  const NoiseSchedule schedule =
      through_levels(task.schedule, basis.level, std::max<int64_t>(2, task.schedule.steps()), gathered);
  const Tensor rows = basis.svd.v.t().to(task.draw.dtype).contiguous();
  const ParticleRun run{.method = McgdiffOptions::kind,
                        .steps = schedule.steps(),
                        .evidence = true,
                        .vjps = 0,
                        .operator_applications = 2,
                        .model = [&](int64_t c, const Noise&) {
                          return std::make_unique<Mcgdiff>(options, *problem.prior, schedule, basis, rows,
                                                           problem.y[c]);
                        }};
  Draws result = run_particles(run, options.smc, task);
  if (gathered) {
    result.run.warnings.push_back(
        "the operator has more singular values than the walk has steps: their noise levels were moved to the "
        "nearest of a geometric grid; more steps make it finer");
  }
  return result;
}

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const McgdiffOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw) {
  require_eta(options.eta);
  if (!(options.kappa >= 0 && std::isfinite(options.kappa)))
    throw Error("method.kappa", fmt::format("{}: a finite number of at least 0 is meant", options.kappa));
  return std::make_unique<ParticleSampler<McgdiffOptions>>(run_mcgdiff, options, std::move(schedule), draw);
}

}  // namespace tweedie
