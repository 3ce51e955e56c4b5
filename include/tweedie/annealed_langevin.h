#pragma once
// Song and Ermon 2019, "Generative modeling by estimating gradients of the data distribution" (NCSN),
// algorithm 1; the final denoising step is of Jolicoeur-Martineau et al. 2021.

#include "tweedie/sampler.h"

namespace tweedie {

struct AnnealedLangevinOptions {
  static constexpr const char* kind = "annealed-langevin";
  int64_t iterations = 100;  // >= 1, at each level
  // > 0: Langevin step in units of sigma^2. NCSN's e is step sigma_L^2 (half of the paper's epsilon): 2e-5
  // there, with sigma_L = 0.01.
  double step = 0.2;
  bool denoise = true;  // end at D(x; sigma_L) instead of at x
};

class AnnealedLangevin final : public Sampler {
 public:
  explicit AnnealedLangevin(const AnnealedLangevinOptions& options = {});
  int64_t evaluations(bool last) const override {
    return options_.iterations + (last && options_.denoise ? 1 : 0);
  }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  AnnealedLangevinOptions options_;
};

}  // namespace tweedie
