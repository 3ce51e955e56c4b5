#pragma once
// Point estimates: one x for each y, whatever the number of draws.

#include "tweedie/posterior.h"

#include <cmath>
#include <functional>

namespace tweedie {

// x (1, *shape) from y (1, *codomain), each of the state's dtype, and the operator applications that it took
struct CaseEstimate {
  Tensor x;
  int64_t applications = 0, iterations = 0;
  double residual = NAN;  // relative, where it ended
  bool converged = true;
};

// Each case alone: on a thread of its own where there are as many cases as threads, else one after another,
// with threads sharing the work inside the operator. Draws are copies; `name` is said in the warning about
// that.
Draws case_by_case(const Problem& problem, int64_t draws, const Observer& observer,
                   const DrawOptions& options, const char* name,
                   const std::function<CaseEstimate(const Tensor& y)>& estimate);

}  // namespace tweedie
