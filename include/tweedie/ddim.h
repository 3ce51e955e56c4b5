#pragma once
// DDIM: Song, Meng, Ermon 2021, "Denoising diffusion implicit models", eq. 12 and 16.

#include "tweedie/sampler.h"

#include <optional>

namespace tweedie {

struct DdimOptions {
  static constexpr const char* kind = "ddim";
  double eta = 0;  // in [0, 1]: 0 follows the probability-flow ODE, 1 is ancestral sampling (DDPM)
  // >= 0: the variance of one coordinate of the data, whose part that D leaves out is added to the noise of
  // each step, the last too; exact for N(m, data_variance I). Without it none is.
  std::optional<double> data_variance;
};

class Ddim final : public Sampler {
 public:
  explicit Ddim(const DdimOptions& options = {});
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  DdimOptions options_;
};

// The code of data x: (B, *shape) at the schedule's first level, by steps up of eta = 0 from its last level
// above 0, for which x is taken. A walk of eta = 0 brings it back, up to O(1 / steps). One evaluation a step,
// but for the first.
Tensor ddim_invert(const Denoiser& denoiser, const NoiseSchedule& schedule, Tensor x);

}  // namespace tweedie
