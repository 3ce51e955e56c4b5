#pragma once
// Annealed Langevin dynamics on the posterior: Jalal, Arvinte, Daras, Price, Dimakis, Tamir 2021, "Robust
// compressed sensing MRI with deep generative priors"; then a Markov chain at the last level.

#include "tweedie/posterior.h"

namespace tweedie {

// At level sigma the target is p_sigma(x) N(y; h(x), noise_std^2 + (gamma sigma ||dh/dx||)^2); the chain's,
// p_level(x) p(y | x). Moves are
//   x + step M g + sqrt(2 step M) n,   M^{-1} = I / sigma^2 + A^T A / (noise variance),   g the gradient,
// M^{-1} bounding the target's curvature; for an operator that is not linear, and where precondition is
// false, ||dh/dx||^2 I stands for A^T A. Divides by noise_std. Under other than Gaussian noise p(y | x) is
// flattened likewise, to its power 1 / (1 + (gamma sigma ||dh/dx||)^2 information).
struct PosteriorLangevinOptions {
  static constexpr const char* kind = "posterior-langevin";
  static constexpr int64_t default_steps = 100;  // levels
  int64_t steps_per_level = 5;                   // >= 1
  double gamma = 1;                              // >= 0
  double step = 0.1;         // in (0, 1]: variances come out too large by up to 1 / (1 - step / 2)
  bool precondition = true;  // linear operators: by A^T A
  // > 0: of the chain; not given: the schedule's last above 0. At small levels only the annealing moves x: a
  // chain forgets where it was in (prior variance / level^2) / step moves.
  std::optional<double> level;
  std::optional<int64_t> chains;  // >= 1, a divisor of the draws; not given: one for each draw
  int64_t warmup = 50;            // moves at the last level before the first draw, >= 0
  int64_t thin = 10;              // moves from one draw of a chain to the next, >= 1
  // The chain accepts or rejects its moves (MALA; Roberts and Tweedie 1996) and so has no bias of step. For
  // analytic priors, whose density is known.
  bool metropolis = false;
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const PosteriorLangevinOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options);

}  // namespace tweedie
