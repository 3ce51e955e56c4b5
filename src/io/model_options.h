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

struct MixtureFitConfig : MixtureFitOptions {
  bool grouped = false;  // the data are the counts of classes, and their likelihood is what is fitted
};

using ModelOptions =
    std::variant<DiffusionOptions, LatentDiffusionConfig, MixtureFitConfig, VaeOptions, RealNvpOptions,
                 GlowOptions, EnergyOptions, MaskedAutoencoderOptions, NoisyClassifierOptions>;

inline void fields(FieldVisitor& visit, LatentDiffusionConfig& o) {
  fields(visit, static_cast<LatentDiffusionOptions&>(o));
  visit(o.first_stage,
        {"first_stage", "a trained VAE, best of architecture feature-map", {.required = true}});
}

inline void fields(FieldVisitor& visit, MixtureFitConfig& o) {
  fields(visit, static_cast<MixtureFitOptions&>(o));
  visit(o.grouped, {"grouped",
                    "a row of the data is a class: its middle and its count, of classes of one width, or its "
                    "two edges and its count"});
}

// Whether [network] and an objective are the model's
inline bool takes_network(const ModelOptions& model) {
  return std::holds_alternative<DiffusionOptions>(model) ||
         std::holds_alternative<LatentDiffusionConfig>(model);
}

}  // namespace tweedie
