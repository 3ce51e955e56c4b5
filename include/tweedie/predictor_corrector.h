#pragma once
// Song, Sohl-Dickstein, Kingma, Kumar, Ermon, Poole 2021, "Score-based generative modeling through stochastic
// differential equations", algorithm 1: after each step down (here DDIM's), Langevin steps at the level
// reached correct its law.

#include "tweedie/ddim.h"

#include <optional>

namespace tweedie {

struct PredictorCorrectorOptions {
  static constexpr const char* kind = "predictor-corrector";
  double eta = 0;           // of the predictor, in [0, 1]: 0 DDIM, 1 ancestral
  int64_t corrections = 1;  // >= 0, at each level above 0
  double tau = 0.1;         // in (0, 1]: Langevin step in units of sigma^2 (Rozet et al. 2024)
  // > 0: the step is chosen for each row by the signal-to-noise ratio instead (Song et al., algorithm 4), at
  // most sigma^2
  std::optional<double> snr;
};

class PredictorCorrector final : public Sampler {
 public:
  explicit PredictorCorrector(const PredictorCorrectorOptions& options = {});
  int64_t evaluations(bool last) const override { return last ? 1 : 1 + options_.corrections; }

 protected:
  Tensor do_step(const Denoiser&, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  PredictorCorrectorOptions options_;
  Ddim predictor_;
};

}  // namespace tweedie
