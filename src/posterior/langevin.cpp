// Jalal, Arvinte, Daras, Price, Dimakis, Tamir, "Robust compressed sensing MRI with deep generative priors",
// NeurIPS 2021, eq. 4: annealed Langevin dynamics on the posterior. At level sigma, v = noise_std^2 + gamma^2
// sigma^2 ||dh/dx||^2 (the chain at the last level: v = noise_std^2),
//   g  = (D(x; sigma) - x) / sigma^2 + (dh/dx)^T (y - h(x)) / v
//   x' = x + step M g + sqrt(2 step) xi,   xi ~ N(0, M),   M^{-1} = I / sigma^2 + A^T A / v
// -log p_sigma has curvature at most 1 / sigma^2, so M times the target's is at most I. For linear A a draw
// of xi is M (n / sigma + A^T n' / sqrt(v)). With metropolis, MALA in the metric M.
// Under other than Gaussian noise g has grad log p(y | x) / v, v = 1 + gamma^2 sigma^2 k, k = ||dh/dx||^2
// times the largest information of an entry of y, which for Gaussian noise is the same; M^{-1} = (1 / sigma^2
// + k / v) I.

#include "tweedie/langevin_posterior.h"

#include "core/langevin.h"
#include "core/rows.h"
#include "core/shape.h"
#include "posterior/local_posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// The target at one level and the metric of its moves. `a` is null where M is a multiple of I.
class Level {
 public:
  Level(const LoopRows& rows, const LinearOperator* a, double sigma, Tensor v, Tensor norm2)
      : rows_(rows), a_(a), sigma_(sigma), v_(std::move(v)), norm2_(std::move(norm2)) {}

  // M g
  Tensor drift(const Tensor& x) const {
    const Tensor g =
        (rows_.prior.mean(x, sigma_) - x) / (sigma_ * sigma_) + rows_.data_gradient(x) / per_row(v_, x);
    return times_metric(g);
  }
  Metric metric() const {
    return {[this](const Tensor& x, Noise& noise) { return shake(x, noise); },
            [this](const Tensor& w) { return squared_length(w); }};
  }

 private:
  // xi ~ N(0, M)
  Tensor shake(const Tensor& x, Noise& noise) const {
    const Tensor n = noise.normal_like(x);
    if (a_ == nullptr) return n / per_row(curvature().sqrt(), x);
    rows_.applied(1);
    const Tensor n_y = noise.normal_like(rows_.y);
    return times_metric(n / sigma_ + a_->adjoint(n_y / per_row(v_.sqrt(), n_y)));
  }
  // w^T M^{-1} w, (B)
  Tensor squared_length(const Tensor& w) const {
    if (a_ == nullptr) return curvature() * row_dot(w, w);
    rows_.applied(1);
    const Tensor aw = a_->apply(w);
    return row_dot(w, w) / (sigma_ * sigma_) + row_dot(aw, aw) / v_;
  }
  Tensor curvature() const { return 1 / (sigma_ * sigma_) + norm2_ / v_; }
  Tensor times_metric(const Tensor& b) const {
    if (a_ == nullptr) return b / per_row(curvature(), b);
    rows_.applied(2);
    return per_row(v_, b) * solve_rows([&](const Tensor& c, double w) { return a_->solve_normal(c, w); }, b,
                                       v_ / (sigma_ * sigma_));
  }

  const LoopRows& rows_;
  const LinearOperator* a_;
  double sigma_;
  Tensor v_, norm2_;  // (B) float64
};

class PosteriorLangevin final : public PosteriorSampler {
 public:
  PosteriorLangevin(const PosteriorLangevinOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_density(problem.likelihood, "posterior-langevin");
    const auto* density = dynamic_cast<const AnalyticPrior*>(problem.prior.get());
    if (options_.metropolis && density == nullptr)
      throw Error("method.metropolis", "true, but a learned prior has no density; use false");
    const int64_t chains = options_.chains.value_or(draws);
    if (draws < 1 || draws % chains != 0) {
      throw Error("method.chains", fmt::format("{}, but a divisor of the {} draws is needed", chains, draws));
    }
    const int64_t kept = draws / chains, moves = options_.warmup + (kept - 1) * options_.thin;
    const SquaredNorm norm(problem);
    const auto noise_std = problem.likelihood.noise().noise_std();
    const LinearOperator* a = options_.precondition && noise_std ? problem.likelihood.linear() : nullptr;
    const double noise_variance = noise_std ? *noise_std * *noise_std : 1;  // of rows.data_gradient
    const std::vector<double> levels = annealed();
    std::atomic<int64_t> accepted{0}, proposed{0};

    const auto loop = [&](const LoopRows& rows) {
      Noise noise_of_moves = rows.moves();
      Tensor x = rows.start(schedule_.initial_std);
      for (const double sigma : levels) {
        for (int64_t i = 0; i < options_.steps_per_level; ++i) {
          const Tensor norm2 = norm.at(rows, x);
          const Tensor v = noise_variance + std::pow(options_.gamma * sigma, 2) * norm2;
          const Level target(rows, a, sigma, v, norm2);
          x = langevin_move(x, target.drift(x), options_.step, noise_of_moves, target.metric());
          rows.slice.step_done(x);
        }
      }
      const Level level(rows, a, last_level(), rows.each(noise_variance), norm.at(rows, x));
      const Metric metric = level.metric();
      const Target target = [&](const Tensor& at) -> LogDensity {
        return {density->log_prob(at, last_level()) + rows.log_likelihood(at), level.drift(at)};
      };
      std::optional<ChainState> chain;
      if (options_.metropolis && moves > 0) chain = start_chain(target, x);
      std::vector<Tensor> draws_of_rows;
      for (int64_t i = 0; i <= moves; ++i) {
        if (i > 0) {
          if (chain) {
            accepted +=
                mala_move(target, *chain, options_.step, noise_of_moves, metric).sum().item<int64_t>();
            proposed += rows.slice.rows();
            x = chain->x;
          } else {
            x = langevin_move(x, level.drift(x), options_.step, noise_of_moves, metric);
          }
          rows.slice.step_done(x);
        }
        if (i >= options_.warmup && (i - options_.warmup) % options_.thin == 0) draws_of_rows.push_back(x);
      }
      return at::stack(draws_of_rows, 1);
    };

    const int64_t steps = static_cast<int64_t>(levels.size()) * options_.steps_per_level + moves;
    const LoopRun run{problem, chains, noise, observer, draw_options_, steps};
    Draws result = run_loop(run, with_batch(kept, problem.prior->shape()), loop);
    // (chains, cases, kept, ...) -> (chains kept, cases, ...)
    result.x = result.x.movedim(2, 1).flatten(0, 1).contiguous();
    result.log_weight = at::zeros({draws, problem.cases()}, at::kDouble);
    RunRecord& record = result.run;
    for (double* work : {&record.network_evaluations, &record.network_vjps, &record.operator_applications})
      *work /= static_cast<double>(kept);
    record.chains = chains;
    if (proposed > 0) {
      record.acceptance_rate = static_cast<double>(accepted.load()) / static_cast<double>(proposed.load());
    }
    return result;
  }

 private:
  // Of the chain
  double last_level() const {
    return options_.level.value_or(schedule_.sigma[schedule_.steps() - 1].item<double>());
  }
  // The levels above it
  std::vector<double> annealed() const {
    std::vector<double> levels;
    for (int64_t k = 0; k < schedule_.steps(); ++k) {
      const double sigma = schedule_.sigma[k].item<double>();
      if (sigma > last_level()) levels.push_back(sigma);
    }
    return levels;
  }

  PosteriorLangevinOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const PosteriorLangevinOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options) {
  require_at_least(options.steps_per_level, 1, "method.steps_per_level");
  if (!(options.gamma >= 0 && std::isfinite(options.gamma)))
    throw Error("method.gamma", fmt::format("{}: a finite number of at least 0 is needed", options.gamma));
  if (!(options.step > 0 && options.step <= 1))
    throw Error("method.step", fmt::format("{}: above 0 and at most 1 is needed", options.step));
  if (options.level) require_positive(*options.level, "method.level");
  if (options.chains) require_at_least(*options.chains, 1, "method.chains");
  require_at_least(options.warmup, 0, "method.warmup");
  require_at_least(options.thin, 1, "method.thin");
  return std::make_unique<PosteriorLangevin>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
