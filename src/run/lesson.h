#pragma once
// What `tweedie train` trains, of each family.

#include "io/model.h"
#include "run/configs.h"
#include "run/context.h"

namespace tweedie {

struct Lesson {
  std::shared_ptr<const Trainable> model;
  Tensor rows;          // to learn from: the data, or its latents
  Weights first_stage;  // of latent diffusion
  uint32_t first_stage_crc = 0;

  // The arrays of the model's file, from those that were trained
  Weights whole(const Weights& trained) const;
};

// Completes the card. Not for mixtures, which EM fits.
Lesson make_lesson(const TrainConfig& config, const Dataset& data, ModelCard& card,
                   const RunContext& context);

// Fits a mixture by EM: RUN/model.toml, weights.npy, means.npy, covariances.npy, which are an analytic prior.
Summary fit_mixture_model(const MixtureFitConfig& options, const TrainConfig& config, const Dataset& data,
                          const RunContext& context);

}  // namespace tweedie
