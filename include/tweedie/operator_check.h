#pragma once
// What an operator promises, put to the test on random x and y: a user's too.

#include "tweedie/operator.h"

#include <string>

namespace tweedie {

struct OperatorCheck {
  std::string name;
  double value;                                   // an error, relative
  double bound;                                   // what it must not exceed
  std::string note;                               // how it was measured, or why it was not
  bool passed() const { return value <= bound; }  // false for NaN
};

struct OperatorCheckOptions {
  int64_t pairs = 8;  // of random x and y
  uint64_t seed = 0;
  bool single_precision = false;  // it may compute in float32 inside, so errors of 1e-4 are none
  bool quick = false;             // only the adjoint and linearity, or the derivative
};

// Linear operators: the adjoint in float64 and float32, linearity, whether a row depends on other rows, the
// norm against one by Lanczos, the residuals of the solves and of the pseudo-inverse, the decomposition where
// it has one. Others: the rows, and vjp against central differences.
std::vector<OperatorCheck> check_operator(const ForwardOperator& a, const OperatorCheckOptions& options = {});

}  // namespace tweedie
