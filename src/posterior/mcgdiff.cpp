// Monte Carlo guided diffusion. Cardoso, Janati El Idrissi, Le Corff, Moulines, "Monte Carlo guided diffusion
// for Bayesian linear inverse problems", ICLR 2024, in the coordinate x_sigma and without its division at the
// levels where a measurement leaves.
//
// Given x_0, target_i has the law of coordinate i of V^T x_sigma at sigma = level_i. So p(x_0 | y) is the
// prior's walk conditioned on passing through target_i there. Until then the potential
//   g_sigma(x) = prod_i N((V^T x)_i; target_i, v_i),   v_i(sigma) = sigma^2 - level_i^2 + kappa (1 +
//   level_i^2)
// guides it. From t to s, over the coordinates with s >= level_i, with the prior's step N(m, c^2 I):
//   weight     prod_i N(target_i; (V^T m)_i, c^2 + v_i(s)) / g_t(x)
//   proposal   (V^T x')_i ~ N(K target_i + (1 - K) (V^T m)_i, K v_i(s)),   K = c^2 / (c^2 + v_i(s))
// and the prior's step for everything else. A coordinate whose level lies above the schedule's first is
// weighted by its likelihood at the end.

#include "posterior/mcgdiff_kernels.h"
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
  // basis and v (in the particles' dtype, its columns contiguous) outlive the model; y: (*codomain)
  Mcgdiff(const McgdiffOptions& options, const Denoiser& prior, const NoiseSchedule& schedule,
          const SingularBasis& basis, const Tensor& v, const Tensor& y)
      : prior_(prior), schedule_(schedule), basis_(basis), v_(v), target_(basis.target(y).contiguous()) {
    const double* sigma = schedule.sigma.data_ptr<double>();
    for (int64_t k = 0; k < schedule.steps(); ++k) steps_.emplace_back(sigma[k], sigma[k + 1], options.eta);
    log_constant_ = basis.log_jacobian(y);
    floor_ = options.kappa * (1 + basis.level.square());
  }

  Particles start(int64_t rows, Noise& noise) const override {
    const double std = schedule_.initial_std;
    Tensor x = noise.normal({rows, v_.size(0)}, v_.scalar_type()) * std;
    const int64_t active = count_active(0);
    if (active == 0) return {x, {}};
    const Tensor variance = potential_variances(0, active), target = target_.narrow(0, 0, active);
    const Tensor gain = std * std / (std * std + variance);
    draw_towards(x, x, gain * target, (variance * gain).sqrt() / std - 1, active);
    const Tensor log_z = log_normal(target, std * std + variance).sum();
    return {x, log_z.expand({rows})};
  }

  Look look(const Tensor& x, int64_t k) const override {
    const PriorStep& step = steps_[k];
    Shape shape = prior_.shape();
    shape.insert(shape.begin(), x.size(0));
    const Tensor denoised = prior_.mean(x.view(shape), step.from).flatten(1);
    const int64_t active = count_active(k + 1);
    if (active > 0 && active <= few_guided) return look_at_few(x, denoised.contiguous(), k, active);
    Tensor m = step.mean(x, denoised);
    if (active == 0) return {{}, m, {}};
    const Tensor target = target_.narrow(0, 0, active);
    const Tensor before = potential_variances(k, active),
                 after = step.variance() + potential_variances(k + 1, active);
    // With a noiseless measurement and neither noise nor floor left, the last weight is floored at the level
    // before.
    const Tensor predicted = at::where(after.gt(0), after, at::full({}, step.from * step.from, at::kDouble));
    const Tensor log_factor = (log_normal(coordinates(m, active) - target, predicted) -
                               log_normal(coordinates(x, active) - target, before))
                                  .sum(1);
    return {log_factor, m, {}};
  }

  Particles move(const Tensor& m, int64_t k, Noise& noise) const override {
    const PriorStep& step = steps_[k];
    const int64_t active = count_active(k + 1);
    if (active > 0 && active <= few_guided) return move_few(m, k, active, noise);
    Tensor x = m;
    Tensor z;
    if (step.std > 0) {
      z = noise.normal(m.sizes(), m.scalar_type());
      x = at::add(m, z, step.std);
    }
    if (active == 0) return {x, {}};
    const Tensor target = target_.narrow(0, 0, active), variance = potential_variances(k + 1, active);
    const Tensor total = step.variance() + variance;
    // 0 / 0: nothing but the measurement decides
    const Tensor gain = at::where(total.gt(0), step.variance() / total, at::ones_like(total));
    const Tensor std = (variance * gain).sqrt();
    Tensor shift = gain * (target - coordinates(m, active));
    if (z.defined()) shift = shift + (std - step.std) * coordinates(z, active);
    return {at::addmm(x, shift.to(x.scalar_type()), v_.narrow(1, 0, active).t()), {}};
  }

  Tensor finish(const Tensor& x) const override {
    const int64_t active = count_active(0), late = basis_.count() - active;
    if (late == 0) return {};
    return log_normal(
               at::matmul(x, v_.narrow(1, active, late)).to(at::kDouble) - target_.narrow(0, active, late),
               basis_.level.narrow(0, active, late).square())
        .sum(1);
  }

  int64_t carried() const override { return v_.size(0); }
  double log_constant() const override { return log_constant_; }

 private:
  // look() and move() where few coordinates are guided: the same sums, row by row.
  Look look_at_few(const Tensor& x, const Tensor& denoised, int64_t k, int64_t active) const {
    const PriorStep& step = steps_[k];
    GuidedWeight weight[few_guided];
    for (int64_t i = 0; i < active; ++i) {
      const double after = step.variance() + potential_variance(k + 1, i);
      weight[i] = {target(i), potential_variance(k, i), after > 0 ? after : step.from * step.from};
    }
    const Tensor log_factor = at::empty({x.size(0)}, at::kDouble);
    with_values([&](auto zero) {
      using Value = decltype(zero);
      weigh_rows<Value>({x.size(0), x.size(1), active, v_.data_ptr<Value>()}, x.data_ptr<Value>(), step.keep,
                        weight, denoised.data_ptr<Value>(), log_factor.data_ptr<double>());
    });
    return {log_factor, denoised, {}};
  }

  Particles move_few(const Tensor& m, int64_t k, int64_t active, Noise& noise) const {
    const PriorStep& step = steps_[k];
    GuidedMove moves[few_guided];
    for (int64_t i = 0; i < active; ++i) {
      const double variance = potential_variance(k + 1, i), total = step.variance() + variance;
      const double gain =
          total > 0 ? step.variance() / total : 1;  // 0 / 0: nothing but the measurement decides
      moves[i] = {target(i), gain, std::sqrt(variance * gain) - step.std};
    }
    const Tensor x = step.std > 0 ? noise.normal(m.sizes(), m.scalar_type()) : at::zeros_like(m);
    with_values([&](auto zero) {
      using Value = decltype(zero);
      move_rows<Value>({m.size(0), m.size(1), active, v_.data_ptr<Value>()}, m.data_ptr<Value>(), step.std,
                       moves, x.data_ptr<Value>());
    });
    return {x, {}};
  }

  template <class Visit>
  void with_values(const Visit& visit) const {
    v_.scalar_type() == at::kDouble ? visit(0.0) : visit(0.0F);
  }

  // Coordinates are sorted by level, so those still guided at sigma[k] come first.
  int64_t count_active(int64_t k) const {
    const double sigma = schedule_.sigma.data_ptr<double>()[k];
    const auto* level = basis_.level.data_ptr<double>();
    const double first = schedule_.sigma.data_ptr<double>()[0];
    int64_t active = 0;
    while (active < basis_.count() && level[active] <= sigma * (1 + 1e-9) && level[active] < first) ++active;
    return active;
  }

  // v_i(sigma[k])
  double potential_variance(int64_t k, int64_t i) const {
    const double sigma = schedule_.sigma.data_ptr<double>()[k], level = basis_.level.data_ptr<double>()[i];
    const double gap = sigma * sigma - level * level;
    return (gap < 1e-9 * sigma * sigma ? 0 : gap) + floor_.data_ptr<double>()[i];
  }
  Tensor potential_variances(int64_t k, int64_t active) const {
    const Tensor result = at::empty({active}, at::kDouble);
    for (int64_t i = 0; i < active; ++i) result.data_ptr<double>()[i] = potential_variance(k, i);
    return result;
  }
  double target(int64_t i) const { return target_.data_ptr<double>()[i]; }

  Tensor coordinates(const Tensor& x, int64_t active) const {
    return at::matmul(x, v_.narrow(1, 0, active)).to(at::kDouble);
  }

  // log N(r; 0, variance)
  static Tensor log_normal(const Tensor& r, const Tensor& variance) {
    return -0.5 * (r.square() / variance + (2 * std::numbers::pi * variance).log());
  }

  // x += V (shift + scale V^T z)
  void draw_towards(Tensor& x, const Tensor& z, const Tensor& shift, const Tensor& scale,
                    int64_t active) const {
    const Tensor change = shift + scale * coordinates(z, active);
    x = at::addmm(x, change.to(x.scalar_type()), v_.narrow(1, 0, active).t());
  }

  const Denoiser& prior_;
  const NoiseSchedule& schedule_;
  const SingularBasis& basis_;
  const Tensor& v_;  // (d, k), column by column
  Tensor target_;    // (k)
  Tensor floor_;     // (k): kappa (1 + level^2)
  std::vector<PriorStep> steps_;
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

class McgdiffSampler final : public PosteriorSampler {
 public:
  McgdiffSampler(McgdiffOptions options, NoiseSchedule schedule, DrawOptions draw)
      : options_(std::move(options)), schedule_(std::move(schedule)), draw_(draw) {
    if (!(options_.eta > 0 && options_.eta <= 1))
      throw Error("method.eta", fmt::format("{}: above 0, at most 1 is meant", options_.eta));
    if (!(options_.kappa >= 0 && std::isfinite(options_.kappa)))
      throw Error("method.kappa", fmt::format("{}: a finite number of at least 0 is meant", options_.kappa));
  }

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_batch_of(problem.y, problem.likelihood.forward().codomain(), "measurement.y");
    require_finite(problem.y, "measurement.y");
    SingularBasis basis = SingularBasis::of(problem.likelihood, "mcgdiff");
    bool gathered = false;
    basis.level = basis.level.contiguous();
    const NoiseSchedule schedule =
        through_levels(schedule_, basis.level, std::max<int64_t>(2, schedule_.steps()), gathered);
    const Tensor v = basis.svd.v.to(draw_.dtype).t().contiguous().t();
    const ParticleRun run{problem.prior->shape(), schedule.steps(), true, [&](int64_t c, const Noise&) {
                            return std::make_unique<Mcgdiff>(options_, *problem.prior, schedule, basis, v,
                                                             problem.y[c]);
                          }};
    Draws result =
        run_particles(run, options_.smc, "mcgdiff", draws, problem.cases(), noise, observer, draw_);
    count_work(result, draws, 1, 0);
    if (gathered) {
      result.run.warnings.push_back(
          "the operator has more singular values than the walk has steps: their noise levels were moved to "
          "the "
          "nearest of a geometric grid; more steps make it finer");
    }
    return result;
  }

 private:
  McgdiffOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const McgdiffOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw) {
  return std::make_unique<McgdiffSampler>(options, std::move(schedule), draw);
}

}  // namespace tweedie
