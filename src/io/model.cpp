#include "io/model.h"

#include "core/shape.h"
#include "io/config.h"
#include "io/safetensors.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// The arrays of the file whose names begin with prefix, in the order and shapes of `like`.
Weights take(const SafeTensors& file, const std::string& prefix, const Weights& like,
             const std::string& place) {
  std::vector<Tensor> tensors;
  for (size_t i = 0; i < like.size(); ++i) {
    const std::string name = prefix + like.names()[i];
    const auto found = file.tensors.find(name);
    if (found == file.tensors.end())
      throw Error(place, "the network needs an array '" + name + "', which is not there");
    if (found->second.sizes() != like.tensors()[i].sizes()) {
      throw Error(place, fmt::format("array '{}' has shape {}, but the network needs {}", name,
                                     to_string(found->second.sizes()), to_string(like.tensors()[i].sizes())));
    }
    tensors.push_back(found->second.to(at::kFloat));
  }
  return like.with(std::move(tensors));
}

void put(SafeTensors& file, const std::string& prefix, const Weights& weights, at::ScalarType dtype) {
  for (size_t i = 0; i < weights.size(); ++i) {
    file.tensors[prefix + weights.names()[i]] = weights.tensors()[i].to(dtype).contiguous();
  }
}

// A double in metadata
std::string exact(double value) {
  return fmt::format("{:a}", value);
}

}  // namespace

std::shared_ptr<const Network> network_of(const ModelCard& card) {
  if (std::holds_alternative<LatentDiffusionConfig>(card.model) && !card.first_stage)
    throw Error("first_stage", "is missing from the model's card");
  const Shape shape = card.first_stage ? Vae(*card.first_stage, card.shape, {}).latent_shape() : card.shape;
  return make_network(card.network, shape, {card.classes, card.outputs});
}

namespace {

// One overload for each family
Weights arrays(const DiffusionOptions&, const ModelCard& card) {
  return network_of(card)->initialise(Noise(0));
}
Weights arrays(const LatentDiffusionConfig&, const ModelCard& card) {
  return with_first_stage(network_of(card)->initialise(Noise(0)),
                          Vae(card.first_stage.value(), card.shape, {}).initialise(Noise(0), {}));
}
Weights arrays(const MixtureFitConfig&, const ModelCard&) {
  throw Error("model.kind", "gaussian-mixture is kept as an analytic prior, model.toml");
}
Weights arrays(const VaeOptions& o, const ModelCard& card) {
  return Vae(o, card.shape, {}).initialise(Noise(0), {});
}
Weights arrays(const RealNvpOptions& o, const ModelCard& card) {
  return make_flow(o, card.shape)->initialise(Noise(0), {});
}
Weights arrays(const GlowOptions& o, const ModelCard& card) {
  return make_flow(o, card.shape)->initialise(Noise(0), {});
}
Weights arrays(const EnergyOptions& o, const ModelCard& card) {
  return EnergyTraining(o, card.shape, {}).initialise(Noise(0), {});
}
Weights arrays(const MaskedAutoencoderOptions& o, const ModelCard& card) {
  return MaskedAutoencoder(o, card.shape, {}).initialise(Noise(0), {});
}
Weights arrays(const NoisyClassifierOptions& o, const ModelCard& card) {
  return NoisyClassifierTraining(o, card.shape, card.classes, card.sigma_data).initialise(Noise(0), {});
}

}  // namespace

Weights arrays_of(const ModelCard& card) {
  return std::visit([&](const auto& options) { return arrays(options, card); }, card.model);
}

Weights with_first_stage(const Weights& weights, const Weights& first_stage) {
  Weights result = weights;
  for (size_t i = 0; i < first_stage.size(); ++i)
    result.add(first_stage_prefix + first_stage.names()[i], first_stage.tensors()[i]);
  return result;
}

Weights first_stage_of(const Weights& weights, const ModelCard& card) {
  Weights result;
  const Weights like = Vae(card.first_stage.value(), card.shape, {}).initialise(Noise(0), {});
  for (const std::string& name : like.names()) result.add(name, weights[first_stage_prefix + name]);
  return result;
}

void write_model(const std::filesystem::path& path, const Model& model, at::ScalarType dtype) {
  SafeTensors file;
  put(file, "", model.weights, dtype);
  file.metadata["format"] = "pt";
  file.metadata["tweedie.model"] = write_fields(model.card);
  if (takes_network(model.card.model))
    file.metadata["tweedie.flops"] = exact(network_of(model.card)->flops());
  file.metadata["tweedie.training"] = model.training;
  file.metadata["tweedie.version"] = TWEEDIE_VERSION;
  write_safetensors(path, file);
}

Model read_model(const std::filesystem::path& path) {
  const std::string place = path.string();
  const SafeTensors file = read_safetensors(path, /*require_checksum=*/true);
  Model model;
  model.card = model_card(file.metadata, place);
  model.training = training_of(file.metadata, place);
  model.weights = take(file, "", arrays_of(model.card), place);
  if (file.tensors.size() != model.weights.size()) {
    throw Error(place,
                fmt::format("{} arrays, but the network has {}", file.tensors.size(), model.weights.size()));
  }
  return model;
}

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint) {
  SafeTensors file;
  const TrainState& state = checkpoint.state;
  put(file, "weights/", state.weights, at::kFloat);
  put(file, "average/", state.average, at::kFloat);
  put(file, "moment1/", state.moment1, at::kFloat);
  put(file, "moment2/", state.moment2, at::kFloat);
  file.metadata["tweedie.step"] = std::to_string(state.step);
  file.metadata["tweedie.total_steps"] = std::to_string(state.total_steps);
  put(file, "best/", state.best, at::kFloat);
  if (state.chains.defined()) file.tensors["chains"] = state.chains;
  std::string validations;
  for (const Validation& seen : state.validations) {
    validations += fmt::format("{} {}", seen.step, exact(seen.loss));
    for (const double loss : seen.by_level) validations += " " + exact(loss);
    validations += "\n";
  }
  file.metadata["tweedie.validations"] = validations;
  file.metadata["tweedie.training"] = checkpoint.training;
  // the order of the arrays, which the file itself does not keep
  std::string names;
  for (const std::string& name : state.weights.names()) names += name + "\n";
  file.metadata["tweedie.names"] = names;
  write_safetensors(path, file);
}

Checkpoint read_checkpoint(const std::filesystem::path& path) {
  const std::string place = path.string();
  const SafeTensors file = read_safetensors(path, /*require_checksum=*/true);
  const CheckpointCard card = checkpoint_card(file.metadata, place);
  Checkpoint result;
  result.training = training_of(file.metadata, place);
  TrainState& state = result.state;
  state.step = card.step;
  state.total_steps = card.total_steps;
  state.validations = card.validations;
  Weights like;
  for (const std::string& name : card.names) {
    const auto found = file.tensors.find("weights/" + name);
    if (found == file.tensors.end()) throw Error(place, "array 'weights/" + name + "' is not there");
    like.add(name, found->second);
  }
  state.weights = take(file, "weights/", like, place);
  state.average = take(file, "average/", like, place);
  state.moment1 = take(file, "moment1/", like, place);
  state.moment2 = take(file, "moment2/", like, place);
  if (!card.names.empty() && file.tensors.count("best/" + card.names.front()) > 0)
    state.best = take(file, "best/", like, place);
  if (const auto found = file.tensors.find("chains"); found != file.tensors.end())
    state.chains = found->second;
  return result;
}

}  // namespace tweedie
