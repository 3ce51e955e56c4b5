#pragma once
// Findings in a summary.

#include "run/context.h"
#include "tweedie/diagnostics.h"

namespace tweedie {

// [{"name", "status", "message"}, ...] with value, p_value and remedy where there are any
Summary to_json(const std::vector<Finding>& findings);

}  // namespace tweedie
