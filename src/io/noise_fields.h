#pragma once
// The field tables (core/fields.h) of noise models.

#include "core/fields.h"
#include "tweedie/noise_options.h"

namespace tweedie {

constexpr auto names(GaussianNoiseOptions::Estimate) {
  return std::array{"none", "data", "gibbs"};
}
constexpr auto names(PoissonGaussianNoiseOptions::Density) {
  return std::array{"exact", "gaussian"};
}
constexpr auto names(Link) {
  return std::array{"logit", "probit"};
}

inline void fields(FieldVisitor& visit, GaussianNoiseOptions& o) {
  visit(o.estimate, {"estimate", "unknown level: from the data before, or drawn with x (gibbs)"});
  visit(o.std_file, {"std_file", "a standard deviation for each entry, of y's shape; instead of std"});
  visit(o.covariance, {"covariance", "(m, m) over the flattened y; instead of std"});
  const bool stated = o.estimate == GaussianNoiseOptions::Estimate::none;
  if (stated && o.std_file.empty() && o.covariance.empty()) {
    visit(o.std, {"std", "standard deviation, in the units of y; 0: no noise", {.min = 0, .required = true}});
  }
  visit(o.sweeps, {"sweeps", "gibbs: of noise and x, before each draw", {.min = 1, .max = 1e6}});
  visit(o.prior_shape,
        {"prior_shape", "gibbs: inverse gamma law of std^2; -0.5: flat in std", {.min = -0.5}});
  visit(o.prior_scale, {"prior_scale", "gibbs: inverse gamma law of std^2", {.min = 0}});
}
inline void fields(FieldVisitor& visit, ComplexGaussianNoiseOptions& o) {
  visit(o.std_file, {"std_file", "a standard deviation for each entry of y; instead of std"});
  if (o.std_file.empty()) {
    visit(o.std, {"std", "root of E|w|^2: each part has std / sqrt(2)", {.min = 0, .required = true}});
  }
}
inline void counting_fields(FieldVisitor& visit, CountingOptions& o) {
  visit(o.gain, {"gain", "counts for one unit of h(x)", {.min = 0, .open_min = true, .required = true}});
  visit(o.background_file, {"background_file", "counts for each entry, of y's shape; instead of background"});
  if (o.background_file.empty())
    visit(o.background, {"background", "counts that are there without x", {.min = 0}});
  visit(o.scaled, {"scaled", "y is counts / gain"});
}
inline void fields(FieldVisitor& visit, PoissonNoiseOptions& o) {
  counting_fields(visit, o);
}
inline void fields(FieldVisitor& visit, PoissonGaussianNoiseOptions& o) {
  counting_fields(visit, o);
  visit(o.std, {"std", "of reading, in counts", {.min = 0, .open_min = true, .required = true}});
  visit(o.density, {"density", "the sum over counts, or a Gaussian of the same mean and variance"});
}
inline void fields(FieldVisitor& visit, LaplaceNoiseOptions& o) {
  visit(o.scale,
        {"scale", "the standard deviation is sqrt(2) scale", {.min = 0, .open_min = true, .required = true}});
}
inline void fields(FieldVisitor& visit, StudentNoiseOptions& o) {
  visit(o.freedom,
        {"freedom", "degrees of freedom; the fewer, the more outliers", {.min = 0, .open_min = true}});
  visit(o.scale, {"scale", "in the units of y", {.min = 0, .open_min = true, .required = true}});
}
inline void fields(FieldVisitor& visit, BernoulliNoiseOptions& o) {
  visit(o.link, {"link", "law of the noise before the threshold: logistic or normal"});
  visit(o.scale, {"scale", "of that noise, in the units of h(x)", {.min = 0, .open_min = true}});
  visit(o.threshold, {"threshold", "y is 1 above it"});
}

}  // namespace tweedie
