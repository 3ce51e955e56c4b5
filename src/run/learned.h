#pragma once
// Models that `tweedie train` made, as priors.

#include "io/model.h"
#include "run/prior.h"

namespace tweedie {

LoadedPrior load_learned(const std::filesystem::path& file, const RunContext& context);
// The same of a model in memory; the description is left to the caller.
LoadedPrior learned_prior(const ModelCard& card, const Weights& weights, const RunContext& context);

// A classifier of noisy rows, of label 0
NoisyClassifier load_classifier(const std::filesystem::path& file);

// The label and the guidance of config, for a prior that was loaded without them.
void add_condition(const PriorConfig& config, LoadedPrior& prior, const RunContext& context,
                   const std::string& place);

}  // namespace tweedie
