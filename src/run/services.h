#pragma once
// What the program's commands do, one function and one file each. All write into context.out, whole or not at
// all (training: as it goes), and return the summary that is also in its summary.json. Interrupted when the
// observer says stop.

#include "run/configs.h"
#include "run/context.h"
#include "run/forecast_config.h"
#include "tweedie/diagnostics.h"
#include "tweedie/flow_density.h"
#include "tweedie/matrix_completion.h"

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct TrainOutcome {
  Summary summary;
  bool finished;  // false: the observer said stop; the checkpoint continues from there
};
// resume: continue the checkpoint in context.out, whose config must be the same
TrainOutcome train(const TrainConfig& config, const RunContext& context, bool resume);
Summary sample(const SampleConfig& config, const RunContext& context);
Summary measure(const MeasureConfig& config, const RunContext& context);
Summary infer(const InferConfig& config, const RunContext& context);
// The next states of one or many series, with scores where what came is known
Summary forecast(const ForecastConfig& config, const RunContext& context);

struct Diagnosis {
  std::vector<Finding> findings;
  Verdict verdict;
  Summary summary;
};
// run: the RUN of infer. Its config is run again at half the steps for a few draws. reference: a file of rows
// that x should be like, of the kind the prior was learned from.
Diagnosis diagnose(const std::filesystem::path& run, const std::optional<std::filesystem::path>& reference,
                   const RunContext& context);

// Distances between two sets of draws. sliced_w1 is the mean over directions, sliced_w2 the root of the mean
// square, max_sliced_w2 the largest.
enum class Metric {
  w1,
  sliced_w1,
  sliced_w2,
  max_sliced_w2,
  w2,
  sinkhorn,
  gaussian_w2,
  mmd,
  energy,
  c2st,
  rf_fd,
  psnr,
  ssim
};
constexpr auto names(Metric) {
  return std::array{"w1",  "sliced-w1", "sliced-w2", "max-sliced-w2", "w2",   "sinkhorn", "gaussian-w2",
                    "mmd", "energy",    "c2st",      "rf-fd",         "psnr", "ssim"};
}

struct CompareRequest {
  std::filesystem::path a, b;
  std::optional<std::filesystem::path> weights_a, weights_b;  // log weights (draws)
  std::vector<Metric> metrics;      // none: sliced_w1 with its floor, energy and the errors of the moments
  bool floor = false;               // what each would be if the laws were equal
  std::optional<double> range;      // width of the values, for PSNR and SSIM; by default that of b's
  std::optional<double> tolerance;  // on sliced_w1, which is then computed in any case
};

struct Calibration {
  std::vector<Finding> findings;
  bool calibrated;  // nothing failed
  Summary summary;
};
// Simulated problems under the config's own prior and measurement: does the method draw from their
// posteriors?
Calibration calibrate(const CalibrateConfig& config, const RunContext& context);

struct ComparisonOutcome {
  Summary summary;
  std::vector<std::string> results;  // the keys of the summary that are worth a line
  bool equal;                        // within the tolerance, true without one
};
ComparisonOutcome compare_files(const CompareRequest& request, uint64_t seed, const RunContext& context);

// D(x; sigma) of the rows of x, and J^T v with a vjp file
Summary denoise(const std::filesystem::path& model, const std::filesystem::path& x, double sigma,
                const std::filesystem::path& vjp, const RunContext& context);

struct ReconstructRequest {
  std::filesystem::path model, x;  // a masked autoencoder's; (N, *shape)
  std::filesystem::path hidden;    // (patches) or (N, patches), 1 where hidden; else
  double fraction = 0.75;          // of each row's patches, at random
  uint64_t seed = 0;
};
// E[hidden | visible] of the rows of x, beside what was hidden
Summary reconstruct(const ReconstructRequest& request, const RunContext& context);

struct LikelihoodRequest {
  std::filesystem::path model, data;  // (B, *shape)
  std::optional<double> sigma_min;    // 0 when exact, else that of flow
  FlowDensityOptions flow;
  bool exact = false;  // the closed form of an analytic prior
  uint64_t seed = 0;
};
// log p_{sigma_min} of the rows of data, by the probability-flow ODE or in closed form
Summary likelihood(const LikelihoodRequest& request, const RunContext& context);

struct CompleteRequest {
  std::filesystem::path matrix;  // (m, n), NaN where nothing is known, or with a mask
  std::filesystem::path mask;    // (m, n), not 0 where it is known
  std::filesystem::path truth;   // (m, n), only to score the result
  CompletionOptions options;
  uint64_t seed = 0;
};
// The matrix of low rank behind some of its entries
Summary complete(const CompleteRequest& request, const RunContext& context);
// An array file as another, by the ending of its name, with what both formats can say of it. Refuses to
// overwrite one unless context.force.
Summary convert(const std::filesystem::path& from, const std::filesystem::path& to,
                const RunContext& context);

// What a model, checkpoint or array file holds
Summary info(const std::filesystem::path& file);

}  // namespace tweedie
