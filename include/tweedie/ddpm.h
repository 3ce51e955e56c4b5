#pragma once
// Ancestral sampling: Ho, Jain, Abbeel 2020, "Denoising diffusion probabilistic models", algorithm 2.

#include "tweedie/sampler.h"

namespace tweedie {

struct DdpmOptions {
  static constexpr const char* kind = "ddpm";
  enum class Variance {
    small,    // that of x_s given x_t and x_0, exact for data without spread
    large,    // beta_t of the VP path, exact for data N(0, I)
    learned,  // between them, as the model says (Nichol and Dhariwal 2021)
  };
  Variance variance = Variance::small;
};

class Ddpm final : public Sampler {
 public:
  explicit Ddpm(const DdpmOptions& options = {}) : variance_(options.variance) {}
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  DdpmOptions::Variance variance_;
};

}  // namespace tweedie
