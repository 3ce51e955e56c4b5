#pragma once
// Methods that walk in the singular coordinates of A = U diag(s) V^T, xbar = V^T x and ybar = U^T y / s,
// where a measurement with noise is a noisy copy of one coordinate: ybar_i = xbar_i + (noise_std / s_i) n.
// They own the noise of each step, and use the prior as it is, without its derivative. Linear operators only;
// any noise_std.

#include "tweedie/posterior.h"

namespace tweedie {

// Denoising diffusion restoration models, Kawar, Elad, Ermon, Song 2022. The paper takes 20 steps.
struct DdrmOptions {
  static constexpr const char* kind = "ddrm";
  double eta = 0.85;  // in [0, 1]: of a step's noise, how much is fresh, where the prior has the word
  double eta_b = 1;   // in [0, 1]: weight of the measurement, where it is more precise than the step's noise
};

// DDNM+, Wang, Yu, Zhang 2023, section 3.3: the null-space model for noisy measurements. In this coordinate
// its step is that of DDRM with eta_b = 1, and it differs in its start, which knows nothing of y. The paper
// takes 100 steps.
struct DdnmPlusOptions {
  static constexpr const char* kind = "ddnm-plus";
  double eta = 0.85;  // in [0, 1]
};

// The step from noise level t to s, bound to one y for each row. With D = D(x; t), Dbar = V^T D:
//   not measured:              Dbar_i + sqrt(1 - eta^2) (s / t) (xbar_i - Dbar_i) + eta s z
//   s < noise_std / s_i:       Dbar_i + sqrt(1 - eta^2) s (ybar_i - Dbar_i) / (noise_std / s_i) + eta s z
//   s >= noise_std / s_i:      (1 - eta_b) Dbar_i + eta_b ybar_i + sqrt(s^2 - eta_b^2 noise_std^2 / s_i^2) z
// Were D the truth and x a sample of it at level t, the result would be one at level s, in every coordinate.
class DdrmStep final : public Sampler {
 public:
  // svd: of the operator, over the prior's flat coordinates; y: (B, *codomain), float64 where s is small;
  // noise_std >= 0; state: dtype and device of the x to come
  DdrmStep(const DdrmOptions& options, const Svd& svd, const Tensor& y, double noise_std,
           const at::TensorOptions& state);
  int64_t evaluations(bool) const override { return 1; }
  // The paper's start at noise level t, from z ~ N(0, I): N(ybar_i, t^2 - noise_std^2 / s_i^2) where that is
  // measured and a variance, else N(0, initial_std^2).
  Tensor start(const Tensor& z, double t, double initial_std) const;

 protected:
  Tensor do_step(const Denoiser& prior, const Tensor& x, double from, double to, Noise& noise,
                 StepMemory&) const override;

 private:
  DdrmOptions options_;
  Tensor v_, vt_;     // (d, k), (k, d)
  Tensor y_;          // ybar, (B, k)
  Tensor noise_std_;  // of ybar: noise_std / s, (k)
};

// Runs either, on any schedule. Throws Error where the operator is too large for its decomposition.
class DdrmSampler final : public PosteriorSampler {
 public:
  DdrmSampler(const DdrmOptions& options, NoiseSchedule schedule, DrawOptions draw);
  DdrmSampler(const DdnmPlusOptions& options, NoiseSchedule schedule, DrawOptions draw);
  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const override;

 private:
  DdrmOptions options_;
  bool start_at_y_;
  NoiseSchedule schedule_;
  DrawOptions draw_;
};

}  // namespace tweedie
