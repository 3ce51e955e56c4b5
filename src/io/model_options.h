#pragma once
// The families of models that `tweedie train` learns.

#include "io/classifier_fields.h"
#include "io/energy_fields.h"
#include "io/flow_fields.h"
#include "io/latent_fields.h"
#include "io/mixture_fields.h"
#include "io/train_fields.h"

namespace tweedie {

// A diffusion model of what a trained VAE makes of the data
struct LatentDiffusionConfig : LatentDiffusionOptions {
  std::filesystem::path first_stage;  // the VAE's model.safetensors
};

using ModelOptions =
    std::variant<DiffusionOptions, LatentDiffusionConfig, MixtureFitOptions, VaeOptions, RealNvpOptions,
                 GlowOptions, EnergyOptions, MaskedAutoencoderOptions, NoisyClassifierOptions>;

inline void fields(FieldVisitor& visit, LatentDiffusionConfig& o) {
  fields(visit, static_cast<LatentDiffusionOptions&>(o));
  visit(o.first_stage,
        {"first_stage", "a trained VAE, best of architecture feature-map", {.required = true}});
}

// Whether [network] and an objective are the model's
inline bool takes_network(const ModelOptions& model) {
  return std::holds_alternative<DiffusionOptions>(model) ||
         std::holds_alternative<LatentDiffusionConfig>(model);
}

}  // namespace tweedie
