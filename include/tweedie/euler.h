#pragma once
// Euler's method for the probability-flow ODE dx/dsigma = (x - D) / sigma. The ODE is linear in x for a fixed
// D, so Euler steps in the coordinates of VP (there it is DDIM with eta = 0) and of flow matching are the
// same.

#include "tweedie/sampler.h"

namespace tweedie {

struct EulerOptions {
  static constexpr const char* kind = "euler";
};

class Euler final : public Sampler {
 public:
  explicit Euler(const EulerOptions& = {}) {}
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise&,
                 StepMemory&) const override;
};

}  // namespace tweedie
