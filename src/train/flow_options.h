#pragma once
// Checks that the options of flows have in common.

#include "tweedie/error.h"
#include "tweedie/normalising_flow.h"

#include <fmt/format.h>

#include <cmath>

namespace tweedie::flows {

inline void require_at_least(const char* field, int64_t value, int64_t least) {
  if (value < least) throw Error(field, fmt::format("{}: at least {} is needed", value, least));
}

inline void require_positive(const char* field, double value) {
  if (!(value > 0 && std::isfinite(value)))
    throw Error(field, fmt::format("{}: a positive number is needed", value));
}

template <class Options>
void check_common(const Options& options) {
  require_positive("model.scale_bound", options.scale_bound);
  if (options.dequantise) require_positive("model.dequantise", *options.dequantise);
}

}  // namespace tweedie::flows
