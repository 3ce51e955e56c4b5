#pragma once
// A prior from a config or a MODEL file.

#include "run/configs.h"
#include "run/context.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/generative.h"
#include "tweedie/latent_diffusion.h"

namespace tweedie {

struct LoadedPrior {
  std::shared_ptr<const Denoiser> denoiser;           // null for families that have none
  std::shared_ptr<const GenerativeModel> generative;  // those
  std::shared_ptr<const AnalyticPrior> analytic;      // the same, when it is one
  std::shared_ptr<const GaussianPrior> gaussian;      // the same, when it is one
  std::optional<double> low, high;                    // range of the data, where known
  at::ScalarType dtype = at::kFloat;                  // for the sampler's state
  std::string description;                            // one line
  int64_t classes = 0;                                // labels that x may have: 0 .. classes - 1; 0: none
  // The denoiser for rows of these labels, (1) or (B) int64; only with classes
  std::function<std::shared_ptr<const Denoiser>(const Tensor& labels)> given;
  // What `generative` draws latents with, in latent diffusion
  struct Latent {
    LatentSpace space;
    LatentDiffusion::Denoisers of;
  };
  std::optional<Latent> latent;
  bool guided = false;                // towards a label that has still to be given
  std::optional<int64_t> slice_rows;  // rows that walk together, where the default would take too much memory
  std::vector<std::string> warnings;
};

// The prior on images of this size, by overlapping windows.
LoadedPrior tiled(const LoadedPrior& prior, const TileConfig& config, const RunContext& context);

// place: of the [prior] table, for errors. The precision is that of context for networks.
// Throws Error for a family without a denoiser, which load_model takes too.
LoadedPrior load_prior(const PriorConfig& config, const RunContext& context,
                       const std::string& place = "prior");
LoadedPrior load_model(const PriorConfig& config, const RunContext& context,
                       const std::string& place = "prior");
// Throws Error for a family without draws.
LoadedPrior load_drawable(const PriorConfig& config, const RunContext& context);
Shape shape_of(const LoadedPrior& model);
// A file of (*shape) or (B, *shape) -> (B, *shape) float32 or float64
Tensor read_rows(const std::filesystem::path& path, const Shape& shape);

// Draws (count, *shape) from it, in closed form where there is one, else by the sampler. Observed by
// context.observer.
Tensor sample_prior(const LoadedPrior& prior, const SamplerConfig& sampler, const Schedule& schedule,
                    int64_t count, const Noise& noise, const RunContext& context);

// What `tweedie sample` draws: config.count rows, of config.labels in turn.
struct Sampled {
  Tensor x, labels;  // labels: (count), undefined without
  RunRecord record;
  int64_t evaluations = 0;  // of the network, a draw
};
Sampled sample_model(const LoadedPrior& model, const SampleConfig& config, const RunContext& context);
// Width of the grey levels whose log p a flow gives; 1 where it is a density's
double grey_of(const LoadedPrior& model);
// `generative` of latent diffusion with this sampler
std::shared_ptr<const GenerativeModel> latent_diffusion(const LoadedPrior& model,
                                                        std::shared_ptr<const Sampler> sampler,
                                                        const NoiseSchedule& schedule);
// Throws what sample_model would of bad labels, and of guidance without any, before anything is written.
void check_labels(const LoadedPrior& model, const std::vector<int64_t>& labels);

std::shared_ptr<const Sampler> make_sampler(const SamplerConfig& config, int64_t steps);

}  // namespace tweedie
