#include "run/learned.h"

#include "tweedie/classifier_guidance.h"
#include "tweedie/error.h"
#include "tweedie/heun.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

DataScale scale_of(const ModelCard& card) {
  return {card.data_mean, card.sigma_data};
}

Weights without_first_stage(const Weights& weights, const ModelCard& card) {
  Weights result;
  const Weights like = network_of(card)->initialise(Noise(0));
  for (const std::string& name : like.names()) result.add(name, weights[name]);
  return result;
}

// What a network of a score-based objective is not meant for
void warn_of_objective(const ModelCard& card, LoadedPrior& prior) {
  if (card.paired) {
    prior.warnings.push_back(
        "trained on pairs of data and noise: its flow is that of the ODE samplers, but its D is not E[x_0 | "
        "x_sigma], which stochastic samplers and posteriors need");
  }
  if (card.only_sigma) {
    prior.warnings.push_back(
        fmt::format("trained at the one noise level {}: only Langevin samplers whose schedule ends there are "
                    "meant for it",
                    *card.only_sigma));
  }
}

// One overload for each family. weights: on the context's device and in its precision
void complete(const DiffusionOptions&, const ModelCard& card, const Weights& weights, LoadedPrior& prior) {
  const auto denoiser = [card](const NetworkPredictor& predictor) {
    return std::make_shared<NetworkDenoiser>(std::make_shared<NetworkPredictor>(predictor), card.sigma_data,
                                             card.shape, card.output);
  };
  const NetworkPredictor predictor(network_of(card), weights);
  prior.denoiser = denoiser(predictor);
  warn_of_objective(card, prior);
  prior.classes = card.classes;
  if (card.classes > 0)
    prior.given = [=](const Tensor& labels) { return denoiser(predictor.labelled(labels)); };
}

void draw_latents_by_default(LoadedPrior& prior) {
  constexpr int64_t steps = 32;
  prior.generative =
      latent_diffusion(prior, std::make_shared<Heun>(HeunOptions{}, steps), make_schedule(Karras{}, steps));
}

void complete(const LatentDiffusionConfig&, const ModelCard& card, const Weights& weights,
              LoadedPrior& prior) {
  const auto vae = std::make_shared<TrainedVae>(card.first_stage.value(), card.shape, scale_of(card),
                                                first_stage_of(weights, card).to(at::kCPU, at::kFloat));
  const LatentSpace space(vae, {card.latent_mean, card.latent_std});
  const Shape shape = space.shape();
  const NetworkPredictor predictor(network_of(card), without_first_stage(weights, card));
  const auto denoisers = [=, output = card.output](const Tensor& labels) -> std::shared_ptr<const Denoiser> {
    auto of_rows =
        std::make_shared<NetworkPredictor>(labels.defined() ? predictor.labelled(labels) : predictor);
    return std::make_shared<NetworkDenoiser>(std::move(of_rows), /*sigma_data=*/1, shape, output);
  };
  prior.latent = {space, denoisers};
  prior.classes = card.classes;
  warn_of_objective(card, prior);
  draw_latents_by_default(prior);
}

void complete(const MixtureFitConfig&, const ModelCard&, const Weights&, LoadedPrior&) {
}  // never in such a file

void complete(const VaeOptions& o, const ModelCard& card, const Weights& weights, LoadedPrior& prior) {
  prior.generative = std::make_shared<TrainedVae>(o, card.shape, scale_of(card), weights);
}

template <class FlowOptionsOfAKind>
requires(std::is_constructible_v<FlowOptions, FlowOptionsOfAKind>) void complete(const FlowOptionsOfAKind& o,
                                                                                 const ModelCard& card,
                                                                                 const Weights& weights,
                                                                                 LoadedPrior& prior) {
  prior.generative = std::make_shared<FlowDistribution>(o, card.shape, weights);
}

void complete(const EnergyOptions& o, const ModelCard& card, const Weights& weights, LoadedPrior& prior) {
  prior.generative = std::make_shared<EnergyModel>(o, card.shape, scale_of(card), weights);
}

// Neither has draws.
void complete(const MaskedAutoencoderOptions&, const ModelCard&, const Weights&, LoadedPrior&) {}
void complete(const NoisyClassifierOptions&, const ModelCard&, const Weights&, LoadedPrior&) {}

// Of gamma: 1 samples p(x | label) and 0 p(x).
void warn_of_scale(const char* kind, double scale, LoadedPrior& prior) {
  if (scale == 0 || scale == 1) return;
  prior.warnings.push_back(fmt::format(
      "{} with scale {} samples neither p(x | label) nor p(x) p(label | x)^{}: see docs/methods.md", kind,
      scale, scale));
}

void guide(const ClassifierFreeConfig& o, LoadedPrior& prior, const RunContext&, const std::string& place) {
  if (prior.classes == 0)
    throw Error(place + ".guidance.kind", "cfg needs a model that was trained with classes");
  if (prior.latent) {
    prior.latent->of = [scale = o.scale, of = prior.latent->of](const Tensor& labels) {
      return scale == 1 || !labels.defined() ? of(labels) : classifier_free(scale, of({}), of(labels));
    };
    draw_latents_by_default(prior);
  } else {
    prior.given = [scale = o.scale, of_none = prior.denoiser, of = prior.given](const Tensor& labels) {
      return scale == 1 ? of(labels) : classifier_free(scale, of_none, of(labels));
    };
  }
  warn_of_scale("cfg", o.scale, prior);
}

void guide(const ClassifierConfig& o, LoadedPrior& prior, const RunContext&, const std::string& place) {
  const NoisyClassifier classifier = load_classifier(o.model);
  if (prior.denoiser == nullptr)
    throw Error(place + ".guidance.kind", "classifier needs a diffusion model of x itself");
  if (classifier.shape() != prior.denoiser->shape())
    throw Error(place + ".guidance.model", "its rows are of another shape than the prior's");
  prior.classes = classifier.classes();
  prior.given = [=, scale = o.scale, of_none = prior.denoiser](const Tensor& labels) {
    return classifier_guided(scale, of_none, std::make_shared<NoisyClassifier>(classifier.labelled(labels)));
  };
  warn_of_scale("classifier guidance", o.scale, prior);
}

}  // namespace

LoadedPrior learned_prior(const ModelCard& card, const Weights& trained, const RunContext& context) {
  const bool bf16 = context.precision == Precision::bf16 ||
                    (context.precision == Precision::automatic && context.device.is_cuda());
  const Weights weights = trained.to(context.device, bf16 ? at::kBFloat16 : at::kFloat);
  limit_kept_memory(context.memory);
  LoadedPrior result;
  const bool of_network = takes_network(card.model);  // the others compute in float32 on the CPU
  std::visit([&](const auto& options) { complete(options, card, of_network ? weights : trained, result); },
             card.model);
  result.low = card.low;
  result.high = card.high;
  return result;
}

NoisyClassifier load_classifier(const std::filesystem::path& file) {
  const Model model = read_model(file);
  const auto* options = std::get_if<NoisyClassifierOptions>(&model.card.model);
  if (options == nullptr)
    throw Error(file.string(), "no classifier; train one with model.kind = \"classifier\"");
  return {*options, model.card.shape, model.card.classes, model.card.sigma_data, model.weights};
}

LoadedPrior load_learned(const std::filesystem::path& file, const RunContext& context) {
  const Model model = read_model(file);
  LoadedPrior result = learned_prior(model.card, model.weights, context);
  result.description = fmt::format("{}, {} weights, trained on {}", file.filename().string(),
                                   model.weights.count(), model.card.data);
  return result;
}

void add_condition(const PriorConfig& config, LoadedPrior& prior, const RunContext& context,
                   const std::string& place) {
  if (config.guidance) {
    std::visit([&](const auto& o) { guide(o, prior, context, place); }, *config.guidance);
    prior.guided = !config.label;
  }
  if (!config.label) return;
  if (prior.classes == 0) throw Error(place + ".label", "this model was not trained with classes");
  if (*config.label >= prior.classes)
    throw Error(place + ".label", fmt::format("{}: 0 to {} is meant", *config.label, prior.classes - 1));
  prior.description += fmt::format(", label {}", *config.label);
  const Tensor label = at::full({1}, *config.label, at::kLong);
  if (prior.latent) {
    prior.latent->of = [of = prior.latent->of, label](const Tensor&) { return of(label); };
    prior.classes = 0;
    draw_latents_by_default(prior);
    return;
  }
  prior.denoiser = prior.given(label);
  prior.given = {};
}

}  // namespace tweedie
