#pragma once
// RED-diff, Mardani, Song, Kautz, Vahdat 2024: the mean of a variational N(mu, 0) fitted by Adam. A point
// estimate, in effect a regularised least squares: its draws differ by the optimiser's noise and say nothing
// of the posterior's spread. Any differentiable operator; noise_std is not used.

#include "tweedie/posterior.h"

namespace tweedie {

// Down the levels, Adam on the gradient
//   (dh/dmu)^T (h(mu) - y) + lambda (m / d) (mu - D(mu + sigma n; sigma)),   m, d: sizes of y and x
struct RedDiffOptions {
  static constexpr const char* kind = "red-diff";
  static constexpr int64_t default_steps = 1000;
  double lambda = 0.25;        // > 0
  double learning_rate = 0.1;  // > 0, in the units of x
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const RedDiffOptions& options,
                                                          NoiseSchedule schedule, DrawOptions draw_options);

}  // namespace tweedie
