#pragma once
// Filtered back-projection as a method: the classical reconstruction of tomography.

#include "tweedie/posterior.h"
#include "tweedie/tomography.h"

namespace tweedie {

// x from y by filtered_back_projection (tweedie/tomography.h); line integrals (make_radon) only. A point
// estimate: all draws are the same, and neither the prior nor noise_std is used.
struct FbpOptions {
  static constexpr const char* kind = "fbp";
  static constexpr bool without_levels = true;
  FilterOptions filter{};
};
std::unique_ptr<const PosteriorSampler> posterior_sampler(const FbpOptions& options,
                                                          DrawOptions draw_options);

}  // namespace tweedie
