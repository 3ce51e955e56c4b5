#pragma once
// The prior's own stochastic step in x_sigma, DDIM's with noise: from t to s,
//   x_s ~ N(D + a (x - D), c^2 I),   c = eta (s / t) sqrt(t^2 - s^2),   a = sqrt(s^2 - c^2) / t.

#include "tweedie/posterior.h"

#include <cmath>

namespace tweedie {

struct PriorStep {
  PriorStep(double t, double s, double eta)
      : from(t),
        to(s),
        std(eta * (s / t) * std::sqrt(t * t - s * s)),
        keep(std::sqrt(s * s - std * std) / t) {}

  double from, to;
  double std;   // c
  double keep;  // a

  double variance() const { return std * std; }
  // Of the step's law, for x and D of one shape; D is used up.
  Tensor mean(const Tensor& x, Tensor denoised) const { return denoised.mul_(1 - keep).add_(x, keep); }
};

// Per draw, what particles that evaluate the prior once a step cost.
inline void count_work(Draws& result, int64_t draws, int64_t evaluations_per_step, int64_t vjps_per_step) {
  const auto& p = *result.run.particles;
  const double per_draw =
      static_cast<double>(p.particles * p.chains * result.run.steps) / static_cast<double>(draws);
  result.run.network_evaluations = per_draw * static_cast<double>(evaluations_per_step);
  result.run.network_vjps = per_draw * static_cast<double>(vjps_per_step);
}

}  // namespace tweedie
