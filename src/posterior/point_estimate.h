#pragma once
// What methods that give one answer for each case have in common: the run over the cases, side by side, with
// threads left over shared out to the loops (core/workers.h) inside each; its progress, and the record of how
// it converged.

#include "posterior/guided_denoiser.h"
#include "posterior/loop.h"

#include <functional>

namespace tweedie {

struct PointCase {
  int64_t index;
  Tensor y;               // (1, *codomain), of the state's dtype and on its device
  const Denoiser* prior;  // counts its evaluations; null where there is none
  const ForwardOperator& forward;
  const LinearOperator* linear;  // the same, where it is
  double noise_std;
  Noise noise;  // of this case
  Tally& tally;
  // ||A||^2, a little raised so that 1 / it is a safe step; computed when it is first asked for
  const std::function<double()>& linear_squared_norm;
  std::function<void()> step_done;  // to be called after each iteration; throws Interrupted

  void applied(int64_t times) const { tally.operator_applications += times; }
  Shape prior_shape() const;  // (1, *shape)
  // (dh/dx)^T (y - h(x)), which is noise_std^2 grad log p(y | x); two applications
  Tensor data_gradient(const Tensor& x) const {
    applied(2);
    return forward.vjp(x, y - forward.apply(x));
  }
};

struct PointAnswer {
  Tensor x;  // (1, *shape)
  int64_t iterations = 0;
  double objective = NAN, residual = NAN;
  bool converged = true;
  bool broke_down = false;  // stopped where its iteration is not defined, so that no more of them would help
  std::optional<double> weight = {};
  std::vector<WeightTrial> trials = {};
};
using PointSolve = std::function<PointAnswer(const PointCase&)>;

struct PointRun {
  const char* method;
  const Problem& problem;
  int64_t draws;  // 1, or Error
  const Noise& noise;
  const Observer& observer;
  const DrawOptions& options;
  int64_t iterations;  // at most, of one case: for progress
  bool needs_prior = false, needs_noise = false, linear_only = false;
  bool any_noise = false;  // not Gaussian alone: noise_std of a case is then NaN
};

// Checks y and what the run says it needs; fills in all of Draws.
Draws run_point_estimate(const PointRun& run, const PointSolve& solve);

// A method that is a PointSolve for each problem
class PointEstimate : public PosteriorSampler {
 public:
  explicit PointEstimate(DrawOptions options) : draw_options_(options) {}

 protected:
  DrawOptions draw_options_;
};

// One that looks at nothing but one case at a time
struct PointNeeds {
  bool prior = false, noise = false, linear = false;
};
class CasePointEstimate : public PointEstimate {
 public:
  Draws sample(const Problem& problem, int64_t draws, const Noise& noise,
               const Observer& observer) const final;

 protected:
  CasePointEstimate(const char* method, int64_t iterations, const PointNeeds& needs, DrawOptions options)
      : PointEstimate(options), method_(method), iterations_(iterations), needs_(needs) {}
  virtual PointAnswer solve(const PointCase& c) const = 0;

 private:
  const char* method_;
  int64_t iterations_;
  PointNeeds needs_;
};

// ||x||, a number, of all of x
double norm_of(const Tensor& x);
// ||a - b|| / ||a||, at least 0 where a = b = 0
double relative_change(const Tensor& a, const Tensor& b);
// ||dh/dx||^2 at x
double squared_norm(const PointCase& c, const Tensor& x);
// Throws Error unless start >= level > 0, both finite.
void require_levels(double start, double level);
// The level at iteration k: from start to level by equal factors over the first half, then constant
double falling_level(double start, double level, int64_t k, int64_t iterations);
// ||y - h(x)||^2
double residual2(const PointCase& c, const Tensor& x);

}  // namespace tweedie
