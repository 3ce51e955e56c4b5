#pragma once
// The prior's own stochastic step in x_sigma, DDIM's with noise: from t to s,
//   x_s ~ N(D + a (x - D), c^2 I),   c = eta (s / t) sqrt(t^2 - s^2),   a = sqrt(s^2 - c^2) / t.

#include "tweedie/tensor.h"

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

}  // namespace tweedie
