#pragma once
// Posterior samplers that overwrite what was measured with y at each level's noise. Neither knows that the
// measured and the hidden part of x_sigma are correlated given y, so both are biased.
//
// y = A x + noise_std n is A x_sigma at level sigma = noise_std already (for rows of A of length s: at
// noise_std / s). So at level t the measured part is y + sqrt(t^2 - noise_std^2) n, and below noise_std
// nothing is overwritten; where A A^T = I, that level is added to the schedule.

#include "tweedie/posterior.h"

namespace tweedie {

// RePaint, Lugmayr et al. 2022: ancestral steps; each `jump_length` of them are walked `repeats` times, with
// noise added back in between. Masks only. Biased less the more repeats.
struct RepaintOptions {
  static constexpr const char* kind = "repaint";
  static constexpr int64_t default_steps = 100;
  int64_t jump_length = 10;  // >= 1
  int64_t repeats = 10;      // >= 1: 1 never jumps back
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const RepaintOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options);

// Song, Shen, Xing, Ermon 2022: replacement before every predictor (ancestral) and corrector (Langevin). For
// linear operators with A A^T = I, else in the coordinates V^T x of the thin decomposition A = U S V^T.
struct ReplacementOptions {
  static constexpr const char* kind = "replacement";
  static constexpr int64_t default_steps = 100;
  double lambda = 1;            // in (0, 1]: weight of y in what is replaced, 1 overwrites
  int64_t correctors = 1;       // at each level, >= 0
  double corrector_step = 0.1;  // in (0, 1]: x + step (D - x) + sqrt(2 step) sigma n
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const ReplacementOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options);

}  // namespace tweedie
