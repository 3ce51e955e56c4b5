#pragma once
// A posterior sampler from a config.

#include "run/configs.h"
#include "tweedie/posterior.h"

namespace tweedie {

// Steps of the walk: of the method or of the sampler, which must agree; 0 for methods without one. Throws
// Error for a sampler beside a method that takes none.
int64_t steps_of(const MethodConfig& method, const std::optional<SamplerConfig>& sampler);

std::unique_ptr<const PosteriorSampler> make_method(const MethodConfig& method, const SamplerConfig& sampler,
                                                    const Schedule& schedule, int64_t steps,
                                                    const DrawOptions& options);

// its `kind`
std::string name_of(const MethodConfig& method);

}  // namespace tweedie
