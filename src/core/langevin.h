#pragma once
// Langevin dynamics of rows: x (B, ...), each row a chain of its own, with its own step.
//   ULA   x' = x + step g + sqrt(2 step) z,  g = grad log p(x): invariant law p up to O(step)
//         (Roberts and Tweedie 1996)
//   MALA  the same as a proposal, accepted with probability min(1, p(x') q(x | x') / (p(x) q(x' | x))),
//         q(x' | x) = N(x'; x + step g, 2 step I): invariant law p exactly (Besag 1994)
// With a metric M, z ~ N(0, M) and g = M grad log p.

#include "tweedie/noise.h"

#include <functional>

namespace tweedie {

struct Metric {
  std::function<Tensor(const Tensor& x, Noise& noise)> shake;  // z ~ N(0, M), of x's shape
  std::function<Tensor(const Tensor& w)> squared_length;       // w^T M^{-1} w for each row, (B) float64

  static Metric euclidean();  // M = I
};

// The move of ULA. score: g at x, of x's shape; step: () or (B), > 0, in squared units of x.
Tensor langevin_move(const Tensor& x, const Tensor& score, const Tensor& step, Noise& noise,
                     const Metric& metric = Metric::euclidean());
Tensor langevin_move(const Tensor& x, const Tensor& score, double step, Noise& noise,
                     const Metric& metric = Metric::euclidean());

// log p up to a constant, (B) float64, and g, of x's shape and dtype
struct LogDensity {
  Tensor value, gradient;
};
using Target = std::function<LogDensity(const Tensor& x)>;

// Throws Error("sampler.FIELD") unless iterations >= 1, step > 0 and start_std >= 0, all finite.
void require_chain(int64_t iterations, double step, double start_std);

// Where the chains are.
struct ChainState {
  Tensor x;
  LogDensity density;  // at x
};
ChainState start_chain(const Target& target, const Tensor& x);

// One step of MALA: one evaluation of the target. Returns which rows accepted, (B) bool. A proposal whose
// density is 0 or not a number is rejected.
Tensor mala_move(const Target& target, ChainState& state, const Tensor& step, Noise& noise,
                 const Metric& metric = Metric::euclidean());
Tensor mala_move(const Target& target, ChainState& state, double step, Noise& noise,
                 const Metric& metric = Metric::euclidean());

}  // namespace tweedie
