#pragma once
// DPM-Solver++(2M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver for guided sampling of
// diffusion probabilistic models", algorithm 2. Second order for one evaluation a step.

#include "tweedie/sampler.h"

namespace tweedie {

struct DpmSolver2mOptions {
  static constexpr const char* kind = "dpm-solver-2m";
};

class DpmSolver2m final : public Sampler {
 public:
  explicit DpmSolver2m(const DpmSolver2mOptions& = {}) {}
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise&,
                 StepMemory& memory) const override;
};

}  // namespace tweedie
