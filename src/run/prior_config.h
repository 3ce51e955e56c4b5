#pragma once
// What [prior] of a config and a MODEL.toml hold.

#include "io/option_fields.h"

#include <optional>

namespace tweedie {

// A Gaussian prior from files, or fitted on a data set. One of the forms of the covariance is given:
// covariance (d, d); variance (*shape); factor (d, r) with std: F F^T + std^2 I; std alone: std^2 I; data,
// with or without a rank.
struct GaussianOptions {
  static constexpr const char* kind = "gaussian";
  std::filesystem::path mean, covariance, variance, factor;
  std::optional<double> std;
  std::optional<DataOptions> data;
  std::optional<int64_t> rank;
};

// sum_k w_k N(m_k, Sigma_k) from files. One of the forms of the covariances is given: covariances (K, d, d);
// variances (K, *shape); factors (K, d, r) with std: F F^T + std^2 I; std alone: std^2 I.
struct MixtureOptions {
  static constexpr const char* kind = "gaussian-mixture";
  std::filesystem::path weights, means, covariances, variances, factors;
  std::optional<double> std;
};

// The samples of a data set themselves, each with the same weight.
struct EmpiricalOptions {
  static constexpr const char* kind = "empirical";
  DataOptions data;
  std::optional<int64_t> count;  // the first so many; all when not given
};

struct TorchScriptFile {
  static constexpr const char* kind = "torchscript";
  std::filesystem::path file;
  Shape shape;  // empty: the module's attribute `shape`
  Prediction prediction = Prediction::data;
  Path path = Ve{};
};

// Classifier-free guidance (Ho and Salimans 2022) by a model that was trained with classes.
struct ClassifierFreeConfig {
  static constexpr const char* kind = "cfg";
  double scale = 1;  // gamma >= 0; 1: p(x | label)
};
// Classifier guidance (Dhariwal and Nichol 2021) by a classifier of noisy x.
struct ClassifierConfig {
  static constexpr const char* kind = "classifier";
  std::filesystem::path model;
  double scale = 1;  // gamma >= 0
};

// The model on images larger than its own, by overlapping windows (tweedie/tiled_denoiser.h).
struct TileConfig {
  std::vector<int64_t> size;  // height and width of x; infer takes them from the measurement where not given
  std::optional<int64_t>
      overlap;  // pixels that neighbours share at least; a quarter of the model's shorter side
  std::optional<int64_t> together;  // windows evaluated at a time
};

// What is known of x: a MODEL (.safetensors of ours, a TorchScript .pt, or a .toml with a [prior] of its
// own), or the prior itself.
struct PriorConfig {
  std::filesystem::path model;
  std::optional<int64_t> label;  // the class of x, of a model of classes
  std::optional<std::variant<ClassifierFreeConfig, ClassifierConfig>> guidance;  // towards it
  std::optional<std::variant<GaussianOptions, MixtureOptions, EmpiricalOptions, TorchScriptFile>> analytic;
  std::optional<TileConfig> tile;
};

struct PriorFile {  // what a MODEL.toml holds
  PriorConfig prior;
};

// A MODEL given on the command line.
PriorConfig prior_of(const std::filesystem::path& model);

void fields(FieldVisitor& visit, GaussianOptions& o);
void fields(FieldVisitor& visit, MixtureOptions& o);
void fields(FieldVisitor& visit, EmpiricalOptions& o);
void fields(FieldVisitor& visit, TorchScriptFile& o);
void fields(FieldVisitor& visit, ClassifierFreeConfig& o);
void fields(FieldVisitor& visit, ClassifierConfig& o);
void fields(FieldVisitor& visit, TileConfig& o);
void fields(FieldVisitor& visit, PriorConfig& o);
void fields(FieldVisitor& visit, PriorFile& o);

}  // namespace tweedie
