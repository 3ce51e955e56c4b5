#pragma once
// DDIM: Song, Meng, Ermon 2021, "Denoising diffusion implicit models", eq. 12 and 16.

#include "tweedie/sampler.h"

namespace tweedie {

struct DdimOptions {
  static constexpr const char* kind = "ddim";
  double eta = 0;  // in [0, 1]: 0 follows the probability-flow ODE, 1 is ancestral sampling (DDPM)
};

class Ddim final : public Sampler {
 public:
  explicit Ddim(const DdimOptions& options = {});
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  double eta_;
};

}  // namespace tweedie
