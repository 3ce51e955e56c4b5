#pragma once
// The config file of each command, as a struct with its defaults.

#include "io/classical_imaging_fields.h"
#include "io/method_fields.h"
#include "io/model_options.h"
#include "run/prior_config.h"

namespace tweedie {

struct SamplerConfig {
  std::variant<HeunOptions, EulerOptions, DpmSolver2mOptions, DdimOptions, DdpmOptions,
               PredictorCorrectorOptions, AnnealedLangevinOptions, UlaOptions, MalaOptions>
      rule = HeunOptions{};
  std::optional<int64_t> steps;
};

struct TrainConfig {
  uint64_t seed = 0;
  DataOptions data;
  ModelOptions model;
  NetworkOptions network = UNetOptions{};  // of models that take one
  TrainTable train;
  double checkpoint_seconds = 60;  // between checkpoints
  bool half = false;               // the model file in float16
};

struct SampleConfig {
  uint64_t seed = 0;
  PriorConfig prior;
  Schedule schedule = Karras{};
  SamplerConfig sampler;
  int64_t count = 64;
  std::vector<int64_t> labels;  // of the draws, in turn; none: of no class in particular
};

struct GaussianNoiseOptions {
  static constexpr const char* kind = "gaussian";
  double std = 0.1;
};

struct MeasureConfig {
  uint64_t seed = 0;
  struct Measurement {
    std::filesystem::path truth;      // (*shape) or (N, *shape)
    std::optional<DataOptions> data;  // or a data set
    int64_t first = 0;                // of it
    std::optional<int64_t> count;     // how many; from the prior: 1
    OperatorOptions forward = IdentityOptions{};
    std::variant<GaussianNoiseOptions> noise;
  } measurement;
  std::optional<PriorConfig> prior;  // truths are drawn from it when neither truth nor data is given
  Schedule schedule = Karras{};
  SamplerConfig sampler;
};

// How to condition on y.
struct MethodConfig {
  std::variant<MmpsOptions, DpsOptions, ExactOptions,
               // guidance
               PigdmOptions, TmpdOptions, DdnmOptions, OracleOptions, CfgOptions,
               // in singular coordinates
               DdrmOptions, DdnmPlusOptions,
               // with loops of their own
               DiffpirOptions, DapsOptions, PnpDmOptions, RedDiffOptions, RepaintOptions, ReplacementOptions,
               PosteriorLangevinOptions,
               // particles
               McgdiffOptions, TdsOptions, FpsOptions,
               // point estimates of imaging
               CgOptions, FbpOptions>
      rule;
  std::optional<int64_t> steps;
  int64_t draws = 16;
};

// Guidance does; all other methods walk in their own way.
bool takes_sampler(const MethodConfig& method);

struct InferConfig {
  uint64_t seed = 0;
  PriorConfig prior;
  struct Measurement {
    std::filesystem::path run;    // the RUN of `tweedie measure`: y, truth, operator and noise in one
    std::filesystem::path y;      // (*codomain) or (cases, *codomain)
    std::filesystem::path truth;  // (*shape) or (cases, *shape), only to score the result
    OperatorOptions forward = IdentityOptions{};
    std::variant<GaussianNoiseOptions> noise;
  } measurement;
  Schedule schedule = Karras{};
  std::optional<SamplerConfig> sampler;  // by default one for methods that take one, none for others
  MethodConfig method;
};

// Simulated problems, each with draws from its posterior.
struct CalibrateOptions {
  int64_t simulations = 1000;
  int64_t draws = 99;  // of each posterior
  int64_t bins = 20;   // of the ranks 0 .. draws; divides draws + 1
  int64_t directions = 4;
};

struct CalibrateConfig {
  uint64_t seed = 0;
  PriorConfig prior;
  struct Measurement {
    OperatorOptions forward = IdentityOptions{};
    std::variant<GaussianNoiseOptions> noise;
  } measurement;
  Schedule schedule = Karras{};
  SamplerConfig sampler;            // of truths too, so it may stand beside any method
  struct Method : MethodConfig {};  // without its draws: [calibrate] has them
  Method method;
  CalibrateOptions calibrate;
};

void fields(FieldVisitor& visit, SamplerConfig& o);
void fields(FieldVisitor& visit, TrainConfig& o);
void fields(FieldVisitor& visit, SampleConfig& o);
void fields(FieldVisitor& visit, GaussianNoiseOptions& o);
void fields(FieldVisitor& visit, MeasureConfig::Measurement& o);
void fields(FieldVisitor& visit, MeasureConfig& o);
void fields(FieldVisitor& visit, InferConfig::Measurement& o);
void fields(FieldVisitor& visit, MethodConfig& o);
void fields(FieldVisitor& visit, InferConfig& o);
void fields(FieldVisitor& visit, CalibrateOptions& o);
void fields(FieldVisitor& visit, CalibrateConfig::Measurement& o);
void fields(FieldVisitor& visit, CalibrateConfig::Method& o);
void fields(FieldVisitor& visit, CalibrateConfig& o);

}  // namespace tweedie
