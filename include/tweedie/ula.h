#pragma once
// The unadjusted Langevin algorithm at one noise level: Roberts and Tweedie 1996, "Exponential convergence of
// Langevin distributions and their discrete approximations". Its law is biased by the step: N(0, v) comes out
// with variance v / (1 - step / (2 v)).

#include "tweedie/sampler.h"

namespace tweedie {

// The chain runs at the schedule's last level above 0, in the walk's last step, and targets x_sigma there.
// Above it x only shrinks with its level.
struct UlaOptions {
  static constexpr const char* kind = "ula";
  int64_t iterations = 1000;  // >= 1
  double step = 0.01;         // > 0: in squared units of the data
  double start_std = 1;       // >= 0: the chain starts from N(0, start_std^2 I)
};

class Ula final : public Sampler {
 public:
  explicit Ula(const UlaOptions& options = {});
  int64_t evaluations(bool last) const override { return last ? options_.iterations : 0; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  UlaOptions options_;
};

}  // namespace tweedie
