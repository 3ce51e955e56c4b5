#pragma once
// The stochastic second-order sampler of Karras et al. 2022 (EDM), algorithm 2, in their coordinate or in
// that of flow matching.

#include "tweedie/sampler.h"

namespace tweedie {

struct HeunOptions {
  static constexpr const char* kind = "heun";
  double s_churn = 0;  // >= 0: noise added back over the whole walk; 0 follows the probability-flow ODE
  double s_min = 0;    // levels at which it is added
  double s_max = 1e6;
  double s_noise = 1;  // > 0: standard deviation of the added noise
  enum class Coordinate {
    sigma,  // dx/dsigma; the last step, to 0, is Euler's
    flow,   // dx_t/dt for x_t = (1 - t) x_0 + t eps; second order to the end
  };
  Coordinate coordinate = Coordinate::sigma;
};

class Heun final : public Sampler {
 public:
  // steps: of the whole walk, over which s_churn is spread
  Heun(const HeunOptions& options, int64_t steps);
  int64_t evaluations(bool last) const override { return last ? 1 : 2; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  HeunOptions options_;
  double gamma_;
};

}  // namespace tweedie
