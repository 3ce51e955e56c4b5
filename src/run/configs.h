#pragma once
// The config file of each command, as a struct with its defaults.

#include "io/classical_fields.h"
#include "io/classical_imaging_fields.h"
#include "io/method_fields.h"
#include "io/model_options.h"
#include "io/noise_fields.h"
#include "io/sampler_fields.h"
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

struct MeasureConfig {
  uint64_t seed = 0;
  struct Measurement {
    std::filesystem::path truth;      // (*shape) or (N, *shape)
    std::optional<DataOptions> data;  // or a data set
    int64_t first = 0;                // of it
    std::optional<int64_t> count;     // how many; from the prior: 1
    OperatorOptions forward = IdentityOptions{};
    NoiseOptions noise;
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
               // point estimates
               WienerOptions, TikhonovOptions, FistaTvOptions, AdmmTvOptions, WaveletL1Options,
               RichardsonLucyOptions, PnpOptions, RedOptions, MapOptions, AugmentedLagrangianOptions,
               DeepImagePriorOptions, CgOptions, FbpOptions,
               // particles
               McgdiffOptions, TdsOptions, FpsOptions>
      rule;
  std::optional<int64_t> steps;
  int64_t draws = 16;
};

// Guidance does; all other methods walk in their own way.
bool takes_sampler(const MethodConfig& method);
// One answer for each case instead of draws, without steps down noise levels
bool is_point_estimate(const MethodConfig& method);
// All but the classical ones that look at no prior, which may be left out then
bool needs_prior(const MethodConfig& method);

// What results are written as, beside .npy. automatic: mean and std like the truth's or the measurement's
// file, where that is no plain array and the format has room for them; any other choice: the draws too.
enum class OutputFormat { automatic, npy, as_input, png, tiff, nifti, hdf5, cfl, fits, netcdf, raw };
constexpr auto names(OutputFormat) {
  return std::array{"auto", "npy", "as-input", "png",    "tiff", "nifti",
                    "hdf5", "cfl", "fits",     "netcdf", "raw"};
}
struct OutputConfig {
  OutputFormat format = OutputFormat::automatic;
};
struct MeasurementConfig {
  std::filesystem::path run;        // the RUN of `tweedie measure`: y, truth, operator and noise in one
  std::filesystem::path y;          // (*codomain) or (cases, *codomain)
  std::filesystem::path truth;      // (*shape) or (cases, *shape), only to score the result
  Shape shape;                      // of x where there is no prior to say; that of the truth or of y if empty
  std::optional<double> low, high;  // of pixels of pictures; the prior's range where not given
  OperatorOptions forward = IdentityOptions{};
  NoiseOptions noise;
};

struct InferConfig {
  uint64_t seed = 0;
  std::optional<PriorConfig> prior;  // unless needs_prior(method), may be absent
  MeasurementConfig measurement;
  std::optional<MeasurementConfig> held_out;  // of the same x with noise of its own; only to judge the draws
  Schedule schedule = Karras{};
  std::optional<SamplerConfig> sampler;  // by default one for methods that take one, none for others
  MethodConfig method;
  OutputConfig output;
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
    NoiseOptions noise;
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
void fields(FieldVisitor& visit, MeasureConfig::Measurement& o);
void fields(FieldVisitor& visit, MeasureConfig& o);
void fields(FieldVisitor& visit, MeasurementConfig& o);
void fields(FieldVisitor& visit, MethodConfig& o);
void fields(FieldVisitor& visit, OutputConfig& o);
void fields(FieldVisitor& visit, InferConfig& o);
void fields(FieldVisitor& visit, CalibrateOptions& o);
void fields(FieldVisitor& visit, CalibrateConfig::Measurement& o);
void fields(FieldVisitor& visit, CalibrateConfig::Method& o);
void fields(FieldVisitor& visit, CalibrateConfig& o);

}  // namespace tweedie
