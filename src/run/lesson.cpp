#include "run/lesson.h"

#include "core/rows.h"
#include "core/shape.h"
#include "io/bytes.h"
#include "train/augmentation.h"
#include "tweedie/diffusion.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// Labels are 0 .. the largest one. Of a file each needs rows; of drawn glyphs some may lie in the other part.
int64_t classes_of(const Dataset& data, DataKind kind, const char* field) {
  if (!data.labels.defined()) throw Error(field, data.name + " has no labels");
  const auto classes = data.labels.max().item<int64_t>() + 1;
  const Tensor absent = data.labels.bincount({}, classes).eq(0).nonzero();
  if (kind == DataKind::file && absent.size(0) > 0) {
    throw Error("data.labels", fmt::format("{} has no row of label {}, of 0 to {}: number the classes from 0 "
                                           "without gaps",
                                           data.name, absent[0][0].item<int64_t>(), classes - 1));
  }
  return classes;
}

// The share of rows without their label is nothing to a model that is shown none.
void require_dropout_used(bool conditional, double label_dropout) {
  if (!conditional && label_dropout != DiffusionOptions{}.label_dropout)
    throw Error("model.label_dropout",
                fmt::format("{}, but model.conditional is false and labels are not used", label_dropout));
}

// Mean and standard deviation of the data, for the card and for the model
DataScale measured_scale(const Dataset& data, ModelCard& card) {
  const DataScale scale = data_scale(data.x);
  card.data_mean = scale.mean;
  card.sigma_data = scale.std;
  return scale;
}

std::shared_ptr<const Trainable> score_model(const TrainConfig& config, ModelCard& card, double sigma_data,
                                             double label_dropout) {
  card.output = network_output(config.train.objective);
  card.outputs = network_outputs(config.train.objective);
  if (const auto* flow = std::get_if<FlowMatchingObjective>(&config.train.objective)) {
    card.paired = flow->optimal_transport;
    if (card.paired && card.classes > 0) {
      throw Error("train.optimal_transport",
                  "pairs would be made across labels, so that the noise of a label is not N(0, I); not with "
                  "model.conditional");
    }
  }
  if (const auto* dsm = std::get_if<DsmObjective>(&config.train.objective)) card.only_sigma = dsm->sigma;
  return std::make_shared<DiffusionModel>(network_of(card), config.train.objective, sigma_data,
                                          label_dropout);
}

// One overload for each family
Lesson lesson(const DiffusionOptions& o, const TrainConfig& config, const Dataset& data, ModelCard& card,
              const RunContext&) {
  card.sigma_data = config.train.sigma_data.value_or(data.x.std().item<double>());
  if (!(card.sigma_data > 0)) throw Error("data", "all values are equal: there is nothing to learn");
  require_dropout_used(o.conditional, o.label_dropout);
  if (o.conditional) card.classes = classes_of(data, config.data.kind, "model.conditional");
  return {score_model(config, card, card.sigma_data, o.label_dropout), data.x, {}};
}

Lesson lesson(const LatentDiffusionConfig& o, const TrainConfig& config, const Dataset& data, ModelCard& card,
              const RunContext& context) {
  const Model vae = read_model(o.first_stage);
  const auto* options = std::get_if<VaeOptions>(&vae.card.model);
  if (options == nullptr) throw Error("model.first_stage", o.first_stage.string() + " is no VAE");
  if (vae.card.shape != card.shape) {
    throw Error("model.first_stage",
                fmt::format("it is of rows of shape {}, but {} has {}", to_string(vae.card.shape), data.name,
                            to_string(card.shape)));
  }
  if (config.train.options.augment.any()) {
    throw Error(field_of(config.train.options.augment),
                "what is learned from are latents, whose images would be other ones; train the first stage "
                "with mirror or shift");
  }
  card.first_stage = *options;
  card.data_mean = vae.card.data_mean;
  card.sigma_data = vae.card.sigma_data;
  require_dropout_used(o.conditional, o.label_dropout);
  if (o.conditional) card.classes = classes_of(data, config.data.kind, "model.conditional");
  const auto trained = std::make_shared<TrainedVae>(*options, card.shape,
                                                    DataScale{card.data_mean, card.sigma_data}, vae.weights);
  constexpr int64_t enough = 4096;  // rows to measure the latents on
  const LatentSpace space = LatentSpace::measure(trained, spread_rows(data.x, enough), context.threads);
  card.latent_mean = space.scale().mean;
  card.latent_std = space.scale().std;
  if (config.train.sigma_data)
    throw Error("train.sigma_data", "latents have standard deviation 1; leave it out");
  return {score_model(config, card, /*sigma_data=*/1, o.label_dropout), space.encode(data.x, context.threads),
          vae.weights, crc32_of(read_bytes(o.first_stage))};
}

Lesson lesson(const MixtureFitConfig&, const TrainConfig&, const Dataset&, ModelCard&, const RunContext&) {
  throw Error("model.kind", "gaussian-mixture is fitted by EM");
}

Lesson lesson(const VaeOptions& o, const TrainConfig&, const Dataset& data, ModelCard& card,
              const RunContext&) {
  return {std::make_shared<Vae>(o, card.shape, measured_scale(data, card)), data.x, {}};
}

Lesson lesson(const RealNvpOptions& o, const TrainConfig&, const Dataset& data, ModelCard& card,
              const RunContext&) {
  measured_scale(data, card);
  return {std::make_shared<FlowModel>(o, card.shape), data.x, {}};
}

Lesson lesson(const GlowOptions& o, const TrainConfig&, const Dataset& data, ModelCard& card,
              const RunContext&) {
  measured_scale(data, card);
  return {std::make_shared<FlowModel>(o, card.shape), data.x, {}};
}

Lesson lesson(const EnergyOptions& o, const TrainConfig& config, const Dataset& data, ModelCard& card,
              const RunContext&) {
  if (config.train.options.patience)
    throw Error("train.patience",
                "the loss of an energy measures no progress, so that nothing can be stopped by it");
  return {std::make_shared<EnergyTraining>(o, card.shape, measured_scale(data, card)), data.x, {}};
}

Lesson lesson(const MaskedAutoencoderOptions& o, const TrainConfig&, const Dataset& data, ModelCard& card,
              const RunContext&) {
  return {std::make_shared<MaskedAutoencoder>(o, card.shape, measured_scale(data, card)), data.x, {}};
}

Lesson lesson(const NoisyClassifierOptions& o, const TrainConfig& config, const Dataset& data,
              ModelCard& card, const RunContext&) {
  measured_scale(data, card);
  card.classes = classes_of(data, config.data.kind, "model.kind");
  return {
      std::make_shared<NoisyClassifierTraining>(o, card.shape, card.classes, card.sigma_data), data.x, {}};
}

}  // namespace

Weights Lesson::whole(const Weights& trained) const {
  return first_stage.size() > 0 ? with_first_stage(trained, first_stage) : trained;
}

Lesson make_lesson(const TrainConfig& config, const Dataset& data, ModelCard& card,
                   const RunContext& context) {
  return std::visit([&](const auto& options) { return lesson(options, config, data, card, context); },
                    config.model);
}

}  // namespace tweedie
