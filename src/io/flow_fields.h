#pragma once
// The field tables (core/fields.h) of normalising flows.

#include "core/fields.h"
#include "tweedie/normalising_flow.h"

namespace tweedie {

template <class FlowOptionsOfAKind>
void common_flow_fields(FieldVisitor& visit, FlowOptionsOfAKind& o) {
  visit(o.scale_bound, {"scale_bound",
                        "a coupling stretches by exp(scale_bound) at most",
                        {.min = 0, .max = 20, .open_min = true}});
  visit(o.dequantise, {"dequantise",
                       "width of a grey level of data that take few values, such as 2 / 255: noise is added",
                       {.min = 0, .open_min = true}});
}

inline void fields(FieldVisitor& visit, RealNvpOptions& o) {
  visit(o.layers, {"layers", "couplings", {.min = 1, .max = 1000}});
  visit(o.width, {"width", "of the couplings' networks", {.min = 1, .max = 1e5}});
  visit(o.depth, {"depth", "hidden layers of the couplings' networks", {.min = 1, .max = 100}});
  common_flow_fields(visit, o);
}

inline void fields(FieldVisitor& visit, GlowOptions& o) {
  visit(o.levels, {"levels", "resolutions, each half of the one before", {.min = 1, .max = 20}});
  visit(o.steps, {"steps", "couplings at each resolution", {.min = 1, .max = 1000}});
  visit(o.width, {"width", "channels in the couplings' networks", {.min = 1, .max = 1e5}});
  common_flow_fields(visit, o);
}

}  // namespace tweedie
