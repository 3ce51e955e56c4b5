#pragma once
// The Metropolis-adjusted Langevin algorithm at one noise level: Besag 1994; Roberts and Tweedie 1996. Exact,
// but needs the density: an AnalyticPrior. Its memory counts the accepted proposals.

#include "tweedie/sampler.h"

namespace tweedie {

// As UlaOptions
struct MalaOptions {
  static constexpr const char* kind = "mala";
  int64_t iterations = 1000;
  double step = 0.01;
  double start_std = 1;
};

class Mala final : public Sampler {
 public:
  explicit Mala(const MalaOptions& options = {});
  // One more than proposals: the start has a score too.
  int64_t evaluations(bool last) const override { return last ? options_.iterations + 1 : 0; }

 protected:
  // Throws Error for a denoiser that is no AnalyticPrior.
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory& memory) const override;

 private:
  MalaOptions options_;
};

}  // namespace tweedie
