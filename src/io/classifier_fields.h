#pragma once
// The field table (core/fields.h) of a classifier of noisy rows.

#include "core/fields.h"
#include "tweedie/noisy_classifier.h"

namespace tweedie {

inline void fields(FieldVisitor& visit, NoisyClassifierOptions& o) {
  visit(o.width, {"width",
                  "of each hidden layer; of images, channels at the lowest resolution",
                  {.min = 1, .max = 1e5}});
  visit(o.depth, {"depth", "residual layers; of images, resolutions", {.min = 1, .max = 1e3}});
  visit(o.p_mean, {"p_mean", "ln sigma ~ N(p_mean, p_std^2)"});
  visit(o.p_std, {"p_std", "ln sigma ~ N(p_mean, p_std^2)", {.min = 0}});
  visit(o.clean_fraction, {"clean_fraction", "share of rows with hardly any noise", {.min = 0, .max = 1}});
}

}  // namespace tweedie
