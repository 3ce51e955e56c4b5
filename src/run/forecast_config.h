#pragma once
// The config of `tweedie forecast`.

#include "run/configs.h"

namespace tweedie {

struct ForecastOptions {
  // ensemble: each member draws its next state; mean: one trajectory of conditional means
  enum class Mode { ensemble, mean };

  std::filesystem::path
      history;  // (H, *state) or (cases, H, *state), oldest first; the last frames - 1 count
  std::optional<int64_t> frames;  // of the prior's x, along its first axis; each entry one when not given
  bool increment = false;         // the window's last frame is x_{t+1} - x_t
  Mode mode = Mode::ensemble;
  int64_t leads = 1;
  int64_t members = 49;
  double noise_std = 0;       // of the history's measurement error
  double step_noise_std = 0;  // that every step conditions with
};
constexpr auto names(ForecastOptions::Mode) {
  return std::array{"ensemble", "mean"};
}

// The field that a state stands for: offset + sum_k state_k basis_k + a residual
struct FieldOptions {
  std::filesystem::path basis;      // (K, *field) for a state of K numbers
  std::filesystem::path offset;     // (*field), (leads, *field) or (cases, leads, *field)
  std::filesystem::path residuals;  // (N, *field), or (leads, N, *field): one of them for each member
  bool write = false;               // the members' fields too
};

// A forecast to compare with
struct BaselineOptions {
  std::string name;
  std::filesystem::path file;  // (*field), (leads, *field) or (cases, leads, *field)
};

struct ScoreOptions {
  std::filesystem::path truth;        // (cases, leads, *field), or (leads, *field) for one case
  std::filesystem::path climatology;  // as a baseline's, for the anomaly correlation
  std::filesystem::path latitude;     // (H) degrees, of the field's rows: weight cos(latitude)
  std::filesystem::path weight;       // broadcasts to the field
  int64_t bins = 10;                  // of the rank histograms; divides members + 1
  int64_t block = 1;  // cases after each other that are not independent, as one in standard errors
  std::vector<BaselineOptions> baselines;
};

struct ForecastConfig {
  uint64_t seed = 0;
  PriorConfig prior;  // of windows
  ForecastOptions forecast;
  std::optional<FieldOptions> field;
  std::optional<ScoreOptions> score;
  Schedule schedule = Karras{};
  std::optional<SamplerConfig> sampler;  // by default one for methods that take one
  CalibrateConfig::Method method;        // without draws: the members are
};

void fields(FieldVisitor& visit, ForecastOptions& o);
void fields(FieldVisitor& visit, FieldOptions& o);
void fields(FieldVisitor& visit, BaselineOptions& o);
void fields(FieldVisitor& visit, ScoreOptions& o);
void fields(FieldVisitor& visit, ForecastConfig& o);

}  // namespace tweedie
