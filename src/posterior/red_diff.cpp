// RED-diff. Mardani, Song, Kautz, Vahdat, "A variational perspective on solving inverse problems with
// diffusion models", ICLR 2024, algorithm 1. Its loss for a mean mu at x_t = alpha_t mu + sigma_t n, as
// released,
//   mean (y - h(mu))^2 / 2 + lambda (sigma_t / alpha_t) mean mu . stop(eps - n),   means over coordinates,
// has in the one coordinate, x = mu + sigma n and eps = (x - D) / sigma, m times the gradient
//   (dh/dmu)^T (h(mu) - y) + lambda (m / d) (mu - D(x; sigma)),
// which Adam (Kingma and Ba 2015) follows with its usual decays. The start is D at the first level, moved to
// the data for linear operators; the paper's is the pseudoinverse.

#include "tweedie/red_diff.h"

#include "core/shape.h"
#include "posterior/local_posterior.h"

#include <ATen/ATen.h>

#include <cmath>

namespace tweedie {

namespace {

class Adam {
 public:
  explicit Adam(double rate) : rate_(rate) {}
  Tensor step(const Tensor& x, const Tensor& gradient) {
    constexpr double keep = 0.9, keep_square = 0.999, tiny = 1e-8;
    if (!mean_.defined()) mean_ = square_ = at::zeros_like(x);
    ++steps_;
    mean_ = keep * mean_ + (1 - keep) * gradient;
    square_ = keep_square * square_ + (1 - keep_square) * gradient.square();
    const Tensor size = (square_ / (1 - std::pow(keep_square, steps_))).sqrt() + tiny;
    return x - rate_ / (1 - std::pow(keep, steps_)) * mean_ / size;
  }

 private:
  double rate_;
  int64_t steps_ = 0;
  Tensor mean_, square_;
};

class RedDiff final : public PosteriorSampler {
 public:
  RedDiff(const RedDiffOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_gaussian(problem.likelihood, "red-diff");
    const auto m = static_cast<double>(product(problem.likelihood.forward().codomain()));
    const double pull = options_.lambda * m / static_cast<double>(product(problem.prior->shape()));
    const LinearOperator* linear = problem.likelihood.linear();
    const double norm = linear != nullptr ? linear->norm() : 0;
    const LoopRun run{problem, draws, noise, observer, draw_options_, schedule_.steps()};
    Draws result = run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule_.sigma.data_ptr<double>();
      Noise moves = rows.moves();
      Tensor mu = rows.prior.mean(rows.start(schedule_.initial_std), level[0]);
      if (norm > 0) mu = nearest_to_data(rows, *linear, rows.y, mu, rows.each(1e-3 * norm * norm));
      Adam adam(options_.learning_rate);
      for (int64_t k = 0; k < schedule_.steps(); ++k) {
        const Tensor x = mu + level[k] * moves.normal_like(mu);
        const Tensor gradient = pull * (mu - rows.prior.mean(x, level[k])) - rows.data_gradient(mu);
        mu = adam.step(mu, gradient);
        rows.slice.step_done(mu);
      }
      return mu;
    });
    result.run.warnings.emplace_back(
        "red-diff is a point estimate: its draws differ by the optimiser's noise, which is not the "
        "posterior's spread");
    return result;
  }

 private:
  RedDiffOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const RedDiffOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options) {
  require_positive(options.lambda, "method.lambda");
  require_positive(options.learning_rate, "method.learning_rate");
  return std::make_unique<RedDiff>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
