// Song, Shen, Xing, Ermon, "Solving inverse problems in medical imaging with score-based generative models",
// ICLR 2022, algorithm 2 with its eq. 9. With k the measured coordinates of x, before each predictor and
// corrector at level t
//   k = lambda (target + sqrt(t^2 - tau^2) n) + (1 - lambda) k          (the paper: target + t n)
// The predictor is an ancestral step, the corrector x + step (D - x) + sqrt(2 step) t n; the paper sets its
// step by a signal-to-noise ratio.

#include "tweedie/replacement.h"
#include "posterior/known_part.h"
#include "tweedie/ddim.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>

namespace tweedie {

namespace {

void require_part(double value, const char* place) {
  if (!(value > 0 && value <= 1))
    throw Error(place, fmt::format("{}: above 0 and at most 1 is needed", value));
}

class Replacement final : public PosteriorSampler {
 public:
  Replacement(const ReplacementOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_gaussian(problem.likelihood, "replacement");
    const double noise_std = problem.likelihood.noise_std();
    const KnownPart known(require_linear(problem.likelihood, "replacement"), noise_std, draw_options_);
    const NoiseSchedule schedule = known.orthonormal() ? with_level(schedule_, noise_std) : schedule_;
    const LoopRun run{problem, draws, noise, observer, draw_options_, schedule.steps()};
    return run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule.sigma.data_ptr<double>();
      const Tensor target = known.target(rows.y);
      Noise moves = rows.moves();
      const auto replace = [&](const Tensor& x, double t) {
        return known.overwrite(rows, x, target, t, options_.lambda, moves);
      };
      Tensor x = rows.start(schedule.initial_std);
      for (int64_t k = 0; k < schedule.steps(); ++k) {
        const double t = level[k], s = level[k + 1];
        x = ancestral_.step(rows.prior, replace(x, t), t, s, moves);
        for (int64_t i = 0; s > 0 && i < options_.correctors; ++i) x = correct(rows, replace(x, s), s, moves);
        rows.slice.step_done(x);
      }
      return replace(x, 0);
    });
  }

 private:
  Tensor correct(const LoopRows& rows, const Tensor& x, double s, Noise& moves) const {
    const double step = options_.corrector_step;
    return x + step * (rows.prior.mean(x, s) - x) + s * std::sqrt(2 * step) * moves.normal_like(x);
  }

  ReplacementOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
  Ddim ancestral_{{.eta = 1}};
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const ReplacementOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options) {
  require_part(options.lambda, "method.lambda");
  require_at_least(options.correctors, 0, "method.correctors");
  require_part(options.corrector_step, "method.corrector_step");
  return std::make_unique<Replacement>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
