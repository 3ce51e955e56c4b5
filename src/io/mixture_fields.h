#pragma once
// The field table (core/fields.h) of Gaussian mixtures that are learned.

#include "core/fields.h"
#include "tweedie/mixture_fit.h"

namespace tweedie {

constexpr auto names(MixtureFitOptions::Covariance) {
  return std::array{"full", "diagonal", "isotropic"};
}

inline void fields(FieldVisitor& visit, MixtureFitOptions& o) {
  visit(o.components,
        {"components", "number of Gaussians; without it, the one of least BIC", {.min = 1, .max = 1e6}});
  visit(o.max_components, {"max_components", "the most that BIC chooses from", {.min = 1, .max = 1e6}});
  visit(o.covariance, {"covariance", "of each component"});
  visit(o.covariance_floor,
        {"covariance_floor", "least eigenvalue, over the data's mean variance", {.min = 1e-12, .max = 1}});
  visit(o.iterations, {"iterations", "of EM, at most", {.min = 1, .max = 1e9}});
  visit(o.tolerance,
        {"tolerance", "gain of the mean log-likelihood of a row at which it stops, nats", {.min = 0}});
  visit(o.restarts, {"restarts", "from other k-means++ seeds, the best kept", {.min = 1, .max = 1e6}});
}

}  // namespace tweedie
