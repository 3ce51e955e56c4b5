#pragma once
// Latent diffusion (Rombach et al. 2022): a diffusion model of what an autoencoder makes of the data. Its
// training is that of a DiffusionModel whose network has the latents' shape and whose sigma_data is 1, on
// LatentSpace::encode of the data.

#include "tweedie/sampler.h"
#include "tweedie/vae.h"

#include <functional>
#include <memory>

namespace tweedie {

struct LatentDiffusionOptions {
  static constexpr const char* kind = "latent-diffusion";
  bool conditional = false;    // on the labels of the data
  double label_dropout = 0.1;  // share of rows whose label is hidden, so that p(z) is learned too
};

// Latents as the diffusion model sees them: means of q(z | x), of mean 0 and standard deviation 1 over all of
// their values.
class LatentSpace {
 public:
  LatentSpace(std::shared_ptr<const TrainedVae> first_stage, const DataScale& scale);
  // With the scale of the latents of x, some of the data or all: (N, *data_shape), N >= 1
  static LatentSpace measure(std::shared_ptr<const TrainedVae> first_stage, const Tensor& x,
                             int64_t threads = 0);

  Shape shape() const { return first_stage_->latent_shape(); }
  Shape data_shape() const { return first_stage_->shape(); }
  const DataScale& scale() const { return scale_; }

  Tensor encode(const Tensor& x, int64_t threads = 0) const;  // (N, *data_shape) -> (N, *shape) float32
  Tensor decode(const Tensor& z, int64_t threads = 0) const;  // and back, without the decoder's noise

 private:
  std::shared_ptr<const TrainedVae> first_stage_;
  DataScale scale_;
};

// Draws of z by any sampler, decoded without the decoder's noise. It has no likelihood: the latents are a
// function of x, not its whole.
class LatentDiffusion final : public GenerativeModel {
 public:
  // The denoiser of latents with these labels: (B) int64, or undefined for p(z). Called from several threads.
  using Denoisers = std::function<std::shared_ptr<const Denoiser>(const Tensor& labels)>;
  // Throws Error where the denoiser's shape is not that of the latents. classes: 0 takes no labels.
  LatentDiffusion(LatentSpace space, Denoisers denoisers, std::shared_ptr<const Sampler> sampler,
                  NoiseSchedule schedule, int64_t classes = 0);

  Shape shape() const override { return space_.data_shape(); }
  int64_t classes() const override { return classes_; }

 protected:
  Tensor do_sample(int64_t rows, const Tensor& labels, Noise& noise) const override;

 private:
  LatentSpace space_;
  Denoisers denoisers_;
  std::shared_ptr<const Denoiser> unlabelled_;
  std::shared_ptr<const Sampler> sampler_;
  NoiseSchedule schedule_;
  int64_t classes_;
};

}  // namespace tweedie
