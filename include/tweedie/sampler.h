#pragma once
// How to walk from noise to data: one update rule per sampler, each for any Denoiser, all in x_sigma = x +
// sigma n.

#include "tweedie/denoiser.h"
#include "tweedie/noise.h"
#include "tweedie/schedule.h"

namespace tweedie {

// What a sampler keeps between steps, one for each batch that walks.
struct StepMemory {
  Tensor mean;      // multistep: D at the step before; undefined before the first step
  double from = 0;  // its level

  Tensor accepted;       // Metropolis: proposals accepted so far, (B) int64; undefined without any
  int64_t proposed = 0;  // for each row
};

class Sampler {
 public:
  virtual ~Sampler() = default;

  // x: (B, *shape) at noise level `from` -> the same at level `to`, 0 <= to < from. The update is done in x's
  // dtype. Steps of one walk share a memory; a step without one is a walk of its own.
  Tensor step(const Denoiser& denoiser, const Tensor& x, double from, double to, Noise& noise) const;
  Tensor step(const Denoiser& denoiser, const Tensor& x, double from, double to, Noise& noise,
              StepMemory& memory) const;

  // Denoiser evaluations of a step: the last one goes to level 0.
  virtual int64_t evaluations(bool last) const = 0;
  int64_t total_evaluations(int64_t steps) const {
    return (steps - 1) * evaluations(false) + evaluations(true);
  }

 protected:
  virtual Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                         StepMemory& memory) const = 0;
};

// Every step of a schedule for one batch; x: (B, *shape) at level sigma[0], of standard deviation
// initial_std.
Tensor walk(const Denoiser& denoiser, const Sampler& sampler, const NoiseSchedule& schedule, Tensor x,
            Noise& noise);

}  // namespace tweedie
