// RePaint. Lugmayr, Danelljan, Romero, Yu, Timofte, Van Gool, "RePaint: inpainting using denoising diffusion
// probabilistic models", CVPR 2022, algorithm 1. A step from level t to s:
//   x   = an ancestral step of the prior from x at t
//   A x = y + sqrt(s^2 - noise_std^2) n          (the paper: y + s n, for measurements without noise)
// and each block of jump_length steps is walked `repeats` times, from x + sqrt(first^2 - last^2) n, so that
// the hidden part hears of the measured one. Below noise_std there is nothing to hear, and going back would
// only forget y: from there it is one walk of the prior's.

#include "posterior/known_part.h"
#include "tweedie/ddim.h"
#include "tweedie/error.h"
#include "tweedie/replacement.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

class Repaint final : public PosteriorSampler {
 public:
  Repaint(const RepaintOptions& options, NoiseSchedule schedule, DrawOptions draw_options)
      : options_(options), schedule_(std::move(schedule)), draw_options_(draw_options) {}

  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override {
    require_gaussian(problem.likelihood, "repaint");
    const double noise_std = problem.likelihood.noise_std();
    const double first_level = schedule_.sigma[0].item<double>();
    const LinearOperator& a = require_linear(problem.likelihood, "repaint");
    if (!is_mask(a))
      throw Error("method.kind", "repaint needs a mask; use replacement or diffpir for this operator");
    if (noise_std >= first_level) {
      throw Error("measurement.noise.std",
                  fmt::format("{}, but repaint uses y above that level only, and the schedule's first is {}",
                              noise_std, first_level));
    }
    const KnownPart known(a, noise_std, draw_options_);
    const NoiseSchedule schedule = with_level(schedule_, noise_std);
    const int64_t held = (schedule.sigma >= noise_std).sum().item<int64_t>() - 1;  // steps that end on y
    const int64_t steps = schedule.steps(), all = held * options_.repeats + steps - held;
    const LoopRun run{problem, draws, noise, observer, draw_options_, all};
    return run_loop(run, [&](const LoopRows& rows) {
      const double* level = schedule.sigma.data_ptr<double>();
      Noise moves = rows.moves();
      Tensor x = rows.start(schedule.initial_std);
      const auto step = [&](int64_t k) {
        x = ancestral_.step(rows.prior, x, level[k], level[k + 1], moves);
        x = known.overwrite(rows, x, rows.y, level[k + 1], 1, moves);
        rows.slice.step_done(x);
      };
      x = known.overwrite(rows, x, rows.y, level[0], 1, moves);
      for (int64_t first = 0; first < held; first += options_.jump_length) {
        const int64_t last = std::min(first + options_.jump_length, held);
        const double gap = std::sqrt(level[first] * level[first] - level[last] * level[last]);
        for (int64_t repeat = 0; repeat < options_.repeats; ++repeat) {
          if (repeat > 0) x = x + gap * moves.normal_like(x);
          for (int64_t k = first; k < last; ++k) step(k);
        }
      }
      for (int64_t k = held; k < steps; ++k) step(k);
      return x;
    });
  }

 private:
  RepaintOptions options_;
  NoiseSchedule schedule_;
  DrawOptions draw_options_;
  Ddim ancestral_{{.eta = 1}};
};

}  // namespace

std::unique_ptr<const PosteriorSampler> posterior_sampler(const RepaintOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options) {
  require_at_least(options.jump_length, 1, "method.jump_length");
  require_at_least(options.repeats, 1, "method.repeats");
  return std::make_unique<Repaint>(options, std::move(schedule), draw_options);
}

}  // namespace tweedie
