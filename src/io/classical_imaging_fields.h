#pragma once
// The field tables (core/fields.h) of the classical methods of imaging.

#include "io/imaging_fields.h"
#include "tweedie/conjugate_gradients.h"
#include "tweedie/fbp.h"

namespace tweedie {

constexpr auto names(CgOptions::Arithmetic) {
  return std::array{"float32", "float64"};
}

inline void fields(FieldVisitor& visit, CgOptions& o) {
  visit(o.iterations, {"iterations", "of conjugate gradients, at most", {.min = 1, .max = 1e6}});
  visit(o.lambda, {"lambda", "weight of |x|^2", {.min = 0}});
  visit(o.tolerance, {"tolerance", "relative residual at which they stop", {.min = 0, .max = 1}});
  visit(o.arithmetic, {"arithmetic", "numbers that the iterations are done in"});
}
inline void fields(FieldVisitor& visit, FbpOptions& o) {
  visit(o.filter.filter, {"filter", "window of the ramp"});
  visit(o.filter.cutoff,
        {"cutoff", "share of the frequencies that is kept", {.min = 0, .max = 1, .open_min = true}});
}

}  // namespace tweedie
