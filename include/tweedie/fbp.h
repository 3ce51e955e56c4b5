#pragma once
// Filtered back-projection as a method: the classical reconstruction of tomography.

#include "tweedie/posterior.h"
#include "tweedie/tomography.h"

namespace tweedie {

// x from y by filtered_back_projection (tweedie/tomography.h); line integrals (make_radon) only. A point
// estimate: one answer and no draws; neither the prior nor noise_std is used.
struct FbpOptions {
  static constexpr const char* kind = "fbp";
  static constexpr bool without_prior = true;
  FilterOptions filter{};
};
std::unique_ptr<const PosteriorSampler> point_estimate(const FbpOptions& options, DrawOptions draw);

}  // namespace tweedie
