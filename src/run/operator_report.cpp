// In a file of its own: the program links it without libtorch.

#include "run/check_operator.h"

#include <algorithm>

namespace tweedie {

bool CheckedOperator::passed() const {
  return std::all_of(checks.begin(), checks.end(), [](const OperatorCheck& c) { return c.passed(); });
}

bool OperatorReport::passed() const {
  return std::all_of(operators.begin(), operators.end(), [](const CheckedOperator& o) { return o.passed(); });
}

}  // namespace tweedie
