// What model files say of themselves, without the network.

#include "io/config.h"
#include "io/model.h"

#include <fmt/format.h>

#include <cstdlib>
#include <sstream>

namespace tweedie {

void fields(FieldVisitor& visit, ModelCard& card) {
  visit(card.shape, {"shape", "of one sample", {.min = 1, .required = true}});
  visit(card.low, {"low", "range of the data"});
  visit(card.high, {"high", "range of the data"});
  visit(card.sigma_data,
        {"sigma_data", "standard deviation of the data", {.min = 0, .open_min = true, .required = true}});
  visit(card.data, {"data", "name of the data set"});
  visit(card.data_crc, {"data_crc", "of its source"});
  visit(card.seed, {"seed", "of training"});
  visit(card.steps, {"steps", "of training"});
  visit(card.model, {"model", "its family"});
  visit(card.data_mean, {"data_mean", "mean of the data"});
  if (std::holds_alternative<LatentDiffusionConfig>(card.model)) {
    visit(card.first_stage, {"first_stage", "the VAE"});
    visit(card.latent_mean, {"latent_mean", "of its latents"});
    visit(card.latent_std, {"latent_std", "of its latents", {.min = 0, .open_min = true}});
  }
  visit(card.classes, {"classes", "labels that it takes: 0 .. classes - 1", {.min = 0, .max = 1e6}});
  if (!takes_network(card.model)) return;
  visit(card.output, {"output", "what the network computes"});
  visit(card.paired, {"paired", "data and noise were, by optimal transport"});
  visit(card.only_sigma, {"only_sigma", "the one noise level of training", {.min = 0, .open_min = true}});
  visit(card.outputs, {"outputs", "2 with a variance", {.min = 1, .max = 2}});
  visit(card.network, {"network", "", {.required = true}});
}

namespace {

std::string field(const Metadata& metadata, const std::string& key, const std::string& place) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) {
    throw Error(place,
                fmt::format("its metadata has no '{}': this is not a file that `tweedie train` made", key));
  }
  return found->second;
}

}  // namespace

ModelCard model_card(const Metadata& metadata, const std::string& place) {
  return Config::parse(field(metadata, "tweedie.model", place), place + " (metadata)").as<ModelCard>();
}

std::string training_of(const Metadata& metadata, const std::string& place) {
  return field(metadata, "tweedie.training", place);
}

std::optional<double> flops_of(const Metadata& metadata) {
  const auto found = metadata.find("tweedie.flops");
  if (found == metadata.end()) return {};
  return std::strtod(found->second.c_str(), nullptr);
}

CheckpointCard checkpoint_card(const Metadata& metadata, const std::string& place) {
  CheckpointCard card;
  try {
    card.step = std::stoll(field(metadata, "tweedie.step", place));
    card.total_steps = std::stoll(field(metadata, "tweedie.total_steps", place));
  } catch (const std::logic_error&) {
    throw Error(place, "its step numbers are not numbers");
  }
  // a line each: step, loss, losses by level
  std::istringstream validations(
      metadata.count("tweedie.validations") > 0 ? metadata.at("tweedie.validations") : "");
  for (std::string line; std::getline(validations, line);) {
    char* rest = line.data();
    Validation seen;
    seen.step = std::strtoll(rest, &rest, 10);
    seen.loss = std::strtod(rest, &rest);
    while (*rest == ' ') {
      const char* before = rest;
      seen.by_level.push_back(std::strtod(rest, &rest));
      if (rest == before) throw Error(place, "its validations are not numbers");
    }
    card.validations.push_back(std::move(seen));
  }
  const std::string names = field(metadata, "tweedie.names", place);
  for (size_t begin = 0, end; (end = names.find('\n', begin)) != std::string::npos; begin = end + 1) {
    card.names.push_back(names.substr(begin, end - begin));
  }
  return card;
}

}  // namespace tweedie
