#pragma once
// Model files: safetensors with the weights, and all that is needed to use them in the metadata.

#include "io/model_options.h"

#include <filesystem>
#include <map>
#include <optional>

namespace tweedie {

// What the metadata says of a model, as TOML under "tweedie.model".
struct ModelCard {
  ModelOptions model;
  NetworkOptions network;                     // of a model that takes one,
  NetworkOutput output = NetworkOutput::edm;  // what it computes,
  int64_t classes = 0;                        // the labels that it takes: 0 .. classes - 1,
  int64_t outputs = 1;                        // and 2 where it has learned a variance
  bool paired = false;                        // whether data and noise were paired by optimal transport
  std::optional<double> only_sigma;           // the one noise level that it was trained at
  Shape shape;                                // of one sample
  double low = -1, high = 1;                  // range of the data
  // Of latent diffusion: the VAE, and the mean and standard deviation of its latents
  std::optional<VaeOptions> first_stage;
  double latent_mean = 0, latent_std = 1;
  double data_mean = 0, sigma_data = 1;  // mean and standard deviation of the data
  std::string data;                      // name of the data set
  uint64_t data_crc = 0;                 // of its source
  uint64_t seed = 0;
  int64_t steps = 0;  // of training
};

class FieldVisitor;
void fields(FieldVisitor& visit, ModelCard& card);

// What the metadata of a file says; Error(place) where it is missing or malformed.
using Metadata = std::map<std::string, std::string>;
ModelCard model_card(const Metadata& metadata, const std::string& place);
std::string training_of(const Metadata& metadata, const std::string& place);
// Operations of one evaluation of the network; models of earlier versions do not say it.
std::optional<double> flops_of(const Metadata& metadata);

struct Model {
  ModelCard card;
  Weights weights;
  std::string training;  // the whole training config, TOML
};

// dtype: of the numbers in the file (float32, or float16 for half the size).
void write_model(const std::filesystem::path& path, const Model& model, at::ScalarType dtype = at::kFloat);
// Weights in float32. Throws Error, naming the file, for anything that is not a whole, unchanged model of
// ours.
Model read_model(const std::filesystem::path& path);

// What a card's network is; of a model that takes one
std::shared_ptr<const Network> network_of(const ModelCard& card);
// The arrays that a card's model has, with any values. Those of the first stage of a latent diffusion model
// have first_stage_prefix before their names.
Weights arrays_of(const ModelCard& card);
inline constexpr const char* first_stage_prefix = "first_stage/";
Weights with_first_stage(const Weights& weights, const Weights& first_stage);
Weights first_stage_of(const Weights& weights, const ModelCard& card);

// What training continues from; the file appears whole or not at all.
struct Checkpoint {
  TrainState state;
  std::string training;  // the config that it belongs to
};
struct CheckpointCard {
  int64_t step = 0, total_steps = 0;
  std::vector<Validation> validations;
  std::vector<std::string> names;  // of the weights, in their order
};
CheckpointCard checkpoint_card(const Metadata& metadata, const std::string& place);

void write_checkpoint(const std::filesystem::path& path, const Checkpoint& checkpoint);
Checkpoint read_checkpoint(const std::filesystem::path& path);

}  // namespace tweedie
