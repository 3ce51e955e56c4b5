// Rombach, Blattmann, Lorenz, Esser and Ommer, "High-resolution image synthesis with latent diffusion models"
// (CVPR 2022): z = (mu(x) - m) / s, a diffusion model of z, and x = f(m + s z) of its draws.

#include "tweedie/latent_diffusion.h"

#include "core/shape.h"
#include "train/standardise.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

LatentSpace::LatentSpace(std::shared_ptr<const TrainedVae> first_stage, const DataScale& scale)
    : first_stage_(std::move(first_stage)), scale_(scale) {
  require_scale(scale);
}

LatentSpace LatentSpace::measure(std::shared_ptr<const TrainedVae> first_stage, const Tensor& x,
                                 int64_t threads) {
  const DataScale scale = data_scale(first_stage->encode(x, threads));
  return {std::move(first_stage), scale};
}

Tensor LatentSpace::encode(const Tensor& x, int64_t threads) const {
  return standardised(first_stage_->encode(x, threads), scale_);
}

Tensor LatentSpace::decode(const Tensor& z, int64_t threads) const {
  return first_stage_->decode(in_data_units(z, scale_), threads);
}

LatentDiffusion::LatentDiffusion(LatentSpace space, Denoisers denoisers,
                                 std::shared_ptr<const Sampler> sampler, NoiseSchedule schedule,
                                 int64_t classes)
    : space_(std::move(space)),
      denoisers_(std::move(denoisers)),
      unlabelled_(denoisers_({})),
      sampler_(std::move(sampler)),
      schedule_(std::move(schedule)),
      classes_(classes) {
  if (unlabelled_->shape() != space_.shape()) {
    throw Error("model", fmt::format("denoises rows of shape {}, but the latents have {}",
                                     to_string(unlabelled_->shape()), to_string(space_.shape())));
  }
}

Tensor LatentDiffusion::do_sample(int64_t rows, const Tensor& labels, Noise& noise) const {
  const auto denoiser = labels.defined() ? denoisers_(labels) : unlabelled_;
  const Tensor start = schedule_.initial_std * noise.normal(with_batch(rows, space_.shape()), at::kFloat);
  return space_.decode(walk(*denoiser, *sampler_, schedule_, start, noise), 1);
}

}  // namespace tweedie
