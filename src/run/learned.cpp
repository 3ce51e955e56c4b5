#include "run/learned.h"

#include "tweedie/classifier_guidance.h"
#include "tweedie/error.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// One overload for each family. weights: on the context's device and in its precision
void complete(const DiffusionOptions&, const ModelCard& card, const Weights& weights, LoadedPrior& prior) {
  const auto denoiser = [card](const NetworkPredictor& predictor) {
    return std::make_shared<NetworkDenoiser>(std::make_shared<NetworkPredictor>(predictor), card.sigma_data,
                                             card.shape, card.output);
  };
  const NetworkPredictor predictor(network_of(card), weights);
  prior.denoiser = denoiser(predictor);
  prior.classes = card.classes;
  if (card.classes > 0)
    prior.given = [=](const Tensor& labels) { return denoiser(predictor.labelled(labels)); };
}

// What a gamma other than 1 does
std::string caveat(const char* kind, double scale) {
  return fmt::format(
      "{} with scale {} samples neither p(x | label) nor p(x) p(label | x)^{}: see docs/methods.md", kind,
      scale, scale);
}

void guide(const ClassifierFreeConfig& o, LoadedPrior& prior, const RunContext&, const std::string& place) {
  if (!prior.given) throw Error(place + ".guidance.kind", "cfg needs a model that was trained with classes");
  prior.given = [scale = o.scale, of_none = prior.denoiser, of = prior.given](const Tensor& labels) {
    return scale == 1 ? of(labels) : classifier_free(scale, of_none, of(labels));
  };
  if (o.scale != 1) prior.warnings.push_back(caveat("cfg", o.scale));
}

void guide(const ClassifierConfig&, LoadedPrior&, const RunContext&, const std::string& place) {
  throw Error(place + ".guidance.kind", "classifier");
}

}  // namespace

LoadedPrior learned_prior(const ModelCard& card, const Weights& trained, const RunContext& context) {
  const bool bf16 = context.precision == Precision::bf16 ||
                    (context.precision == Precision::automatic && context.device.is_cuda());
  const Weights weights = trained.to(context.device, bf16 ? at::kBFloat16 : at::kFloat);
  limit_kept_memory(context.memory);
  LoadedPrior result;
  std::visit([&](const auto& options) { complete(options, card, weights, result); }, card.model);
  result.low = card.low;
  result.high = card.high;
  return result;
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
  if (config.guidance) std::visit([&](const auto& o) { guide(o, prior, context, place); }, *config.guidance);
  if (!config.label) return;
  if (!prior.given) throw Error(place + ".label", "this model was not trained with classes");
  prior.denoiser = prior.given(at::full({1}, *config.label, at::kLong));
  prior.description += fmt::format(", label {}", *config.label);
  prior.given = {};
}

}  // namespace tweedie
