#pragma once
// DPM-Solver++(2M) and SDE-DPM-Solver++(2M): Lu, Zhou, Bao, Chen, Li, Zhu 2022, "DPM-Solver++: fast solver
// for guided sampling of diffusion probabilistic models", algorithm 2 and section 5. Second order for one
// evaluation a step, the stochastic one in the moments of its draws.

#include "tweedie/sampler.h"

namespace tweedie {

struct DpmSolver2mOptions {
  static constexpr const char* kind = "dpm-solver-2m";
  // in [0, 1]: 0 follows the probability-flow ODE, 1 the reverse SDE; eta^2 of its noise between, as DDIM in
  // small steps
  double eta = 0;
};

class DpmSolver2m final : public Sampler {
 public:
  explicit DpmSolver2m(const DpmSolver2mOptions& options = {});
  int64_t evaluations(bool) const override { return 1; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory& memory) const override;

 private:
  DpmSolver2mOptions options_;
};

}  // namespace tweedie
