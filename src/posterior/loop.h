#pragma once
// What methods with a loop of their own have in common: their checks, the run of that loop over slices of
// rows, and the count of its work.

#include "posterior/guided_denoiser.h"
#include "posterior/slices.h"

namespace tweedie {

// Throws Error(place) unless value is finite and above 0.
void require_positive(double value, const char* place);
void require_not_negative(double value, const char* place);
void require_at_least(int64_t value, int64_t least, const char* place);

// One slice's problem. Its prior counts its evaluations and derivatives; operators are counted by hand.
struct LoopRows {
  const Slice& slice;
  const Denoiser& prior;
  const ForwardOperator& forward;
  Tensor y;  // (rows, *codomain), of the state's dtype and on its device
  Tally& tally;
  const NoiseModel& noise;

  // std n, (rows, *shape): where a walk begins
  Tensor start(double std) const;
  // value for each row, (rows) float64
  Tensor each(double value) const;
  Noise moves() const { return slice.noise().stream(Stream::sampler); }
  void applied(int64_t times) const { tally.operator_applications += times * slice.rows(); }
  // noise_unit() grad log p(y | x), for Gaussian noise (dh/dx)^T (y - h(x)); two applications
  Tensor data_gradient(const Tensor& x) const;
  // noise_std^2 for Gaussian noise, else 1
  double noise_unit() const;
  // log p(y | x), (rows) float64. Where y is impossible it is finite, so far below all that is possible that
  // a chain never goes there, and finds its way out when it starts there; one application.
  Tensor log_likelihood(const Tensor& x) const;
};

using Loop = std::function<Tensor(const LoopRows&)>;

struct LoopRun {
  const Problem& problem;
  int64_t draws;
  const Noise& noise;
  const Observer& observer;
  const DrawOptions& options;
  int64_t steps;           // how often the loop calls slice.step_done()
  Tally* tally = nullptr;  // where the work is counted as well
};

// loop(rows) -> (rows, *shape), shape being the prior's. Checks y; fills in all of Draws.
Draws run_loop(const LoopRun& run, const Loop& loop);
// The same for loops that return something else than one x for each row: x of the result is (draws, cases,
// *shape) all the same.
Draws run_loop(const LoopRun& run, const Shape& shape, const Loop& loop);

}  // namespace tweedie
