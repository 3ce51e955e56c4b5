// What model files say of themselves, without the network.

#include "io/config.h"
#include "io/model.h"
#include "io/option_fields.h"

#include <fmt/format.h>

#include <cstdlib>

namespace tweedie {

void fields(FieldVisitor& visit, ModelCard& card) {
  visit(card.shape, {"shape", "of one sample", {.min = 1, .required = true}});
  visit(card.low, {"low", "range of the data"});
  visit(card.high, {"high", "range of the data"});
  visit(card.sigma_data,
        {"sigma_data", "of the EDM preconditioning", {.min = 0, .open_min = true, .required = true}});
  visit(card.data, {"data", "name of the data set"});
  visit(card.data_crc, {"data_crc", "of its source"});
  visit(card.seed, {"seed", "of training"});
  visit(card.steps, {"steps", "of training"});
  visit(card.network, {"network", "", {.required = true}});
}

namespace {

std::string field(const SafeTensors& file, const std::string& key, const std::string& place) {
  const auto found = file.metadata.find(key);
  if (found == file.metadata.end()) {
    throw Error(place,
                fmt::format("its metadata has no '{}': this is not a file that `tweedie train` made", key));
  }
  return found->second;
}

}  // namespace

ModelCard model_card(const SafeTensors& file, const std::string& place) {
  return Config::parse(field(file, "tweedie.model", place), place + " (metadata)").as<ModelCard>();
}

std::string training_of(const SafeTensors& file, const std::string& place) {
  return field(file, "tweedie.training", place);
}

std::optional<double> flops_of(const SafeTensors& file) {
  const auto found = file.metadata.find("tweedie.flops");
  if (found == file.metadata.end()) return {};
  return std::strtod(found->second.c_str(), nullptr);
}

CheckpointCard checkpoint_card(const SafeTensors& file, const std::string& place) {
  CheckpointCard card;
  try {
    card.step = std::stoll(field(file, "tweedie.step", place));
    card.total_steps = std::stoll(field(file, "tweedie.total_steps", place));
    card.sigma_data = std::strtod(field(file, "tweedie.sigma_data", place).c_str(), nullptr);
  } catch (const std::logic_error&) {
    throw Error(place, "its step numbers are not numbers");
  }
  const std::string names = field(file, "tweedie.names", place);
  for (size_t begin = 0, end; (end = names.find('\n', begin)) != std::string::npos; begin = end + 1) {
    card.names.push_back(names.substr(begin, end - begin));
    if (file.tensors.count("weights/" + card.names.back()) == 0)
      throw Error(place, "array 'weights/" + card.names.back() + "' is not there");
  }
  return card;
}

}  // namespace tweedie
