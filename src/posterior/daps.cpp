// DAPS. Zhang, Chu, Berner, Meng, Anandkumar, Song, "Improving diffusion inverse problem solving with
// decoupled noise annealing", CVPR 2025 (arXiv 2407.01521), algorithm 1. From level t to s:
//   x_hat ~ the end of the probability-flow ODE from x at t
//   x_0   ~ p(y | x_0) N(x_0; x_hat, r^2 I)
//   x     = x_0 + s n
// When the second factor is p(x_0 | x_t), x_0 is of the law p(x_0 | y) if x is of p(x_t | y), and the next x
// of p(x_s | y). For a prior N(m, v I) that factor is N(D, tr V / d I): so are the defaults, one Euler step
// to x_hat = D and Tweedie's r. The released code has another noise level (0.01) than that of y, r = sigma,
// and a fixed step size that decays.

#include "core/rows.h"
#include "core/shape.h"
#include "posterior/local_posterior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

// Dimensions up to which the trace of an analytic prior's V is taken whole.
constexpr int64_t whole_trace = 64;
// Of sigma^2: V is a covariance, so a trace below this is a network's error or a probe's.
constexpr double least_spread = 1e-9;

class Daps final : public PosteriorSampler {
 public:
  Daps(const DapsOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_density(problem.likelihood, "daps");
    const LocalPosterior local(options_.inner, problem, "daps");
    const bool whole = dynamic_cast<const AnalyticPrior*>(problem.prior.get()) != nullptr &&
                       product(problem.prior->shape()) <= whole_trace;
    Tally tally;
    const LoopRun run{problem, draws, noise, observer, draw_options_, schedule_.steps(), &tally};
    Draws result = run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule_.sigma.data_ptr<double>();
      Noise moves = rows.moves(), probes = rows.slice.noise().stream(Stream::diffusion);
      Tensor x = rows.start(schedule_.initial_std);
      for (int64_t k = 0; k < schedule_.steps(); ++k) {
        const double t = level[k], s = level[k + 1];
        const auto [x_hat, r2] = denoised(rows, x, t, whole, probes);
        x = local.draw(rows, x_hat, r2, moves);
        if (s > 0) x = x + s * moves.normal_like(x);
        rows.slice.step_done(x);
      }
      return x;
    });
    if (tally.broken_solves > tally.solves / 100) {
      result.run.warnings.push_back(
          fmt::format("the prior's covariance had no positive trace at {:.1f}% of the points: its derivative "
                      "is inaccurate "
                      "there, or method.probes too few",
                      100.0 * static_cast<double>(tally.broken_solves.load()) /
                          static_cast<double>(tally.solves.load())));
    }
    return result;
  }

 private:
  struct Denoised {
    Tensor x_hat, r2;
  };
  Denoised denoised(const LoopRows& rows, const Tensor& x, double t, bool whole, Noise& probes) const {
    if (options_.spread == DapsOptions::Spread::sigma)
      return {ode(rows, x, rows.prior.mean(x, t), t), rows.each(t * t)};
    const Linearised prior = linearise(rows.prior, x, t);
    const Tensor trace = trace_of(prior, x, whole, probes);  // of V / (sigma^2 d)
    const Tensor broken = trace < least_spread;
    rows.tally.solves += x.size(0);
    rows.tally.broken_solves += broken.sum().item<int64_t>();
    return {ode(rows, x, prior.mean, t), t * t * trace.clamp_min(least_spread)};
  }

  // tr J / d, (B) float64
  Tensor trace_of(const Linearised& prior, const Tensor& x, bool whole, Noise& probes) const {
    const int64_t d = x.numel() / x.size(0), count = whole ? d : options_.probes;
    Tensor sum = at::zeros({x.size(0)}, x.options().dtype(at::kDouble));
    for (int64_t i = 0; i < count; ++i) {
      Tensor v;
      if (whole) {
        v = at::zeros({x.size(0), d}, x.options());
        v.select(1, i).fill_(1);
        v = v.view(x.sizes());
      } else {
        v = at::where(probes.normal_like(x) < 0, -1.0, 1.0).to(x.scalar_type());
      }
      sum = sum + row_dot(v, prior.vjp(v));
    }
    return sum / static_cast<double>(whole ? d : count * d);
  }

  // Euler steps of dx/dsigma = (x - D) / sigma from t to 0, at levels t (1 - i / n)^7 as in EDM; `mean` is
  // D(x; t). The last step, to level 0, ends at D.
  Tensor ode(const LoopRows& rows, Tensor x, Tensor mean, double t) const {
    const auto n = static_cast<double>(options_.ode_steps);
    for (int64_t i = 1; i < options_.ode_steps; ++i) {
      const double s = t * std::pow((n - static_cast<double>(i)) / (n - static_cast<double>(i - 1)), 7);
      x = mean + s / t * (x - mean);
      mean = rows.prior.mean(x, s);
      t = s;
    }
    return mean;
  }

  DapsOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const DapsOptions& options, NoiseSchedule schedule,
                                                          DrawOptions draw_options) {
  require_at_least(options.probes, 1, "method.probes");
  require_at_least(options.ode_steps, 1, "method.ode_steps");
  return std::make_unique<Daps>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
