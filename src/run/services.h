#pragma once
// What the program's commands do, one function and one file each. All write into context.out, whole or not at
// all (training: as it goes), and return the summary that is also in its summary.json. Interrupted when the
// observer says stop.

#include "run/configs.h"
#include "run/context.h"
#include "tweedie/diagnostics.h"

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

struct Diagnosis {
  std::vector<Finding> findings;
  Verdict verdict;
  Summary summary;
};
// run: the RUN of infer. Its config is run again at half the steps for a few draws.
Diagnosis diagnose(const std::filesystem::path& run, const RunContext& context);

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
  bool equal;  // within the tolerance, true without one
};
ComparisonOutcome compare_files(const std::filesystem::path& a, const std::filesystem::path& b,
                                std::optional<double> tolerance, uint64_t seed, const RunContext& context);

// D(x; sigma) of the rows of x, and J^T v with a vjp file
Summary denoise(const std::filesystem::path& model, const std::filesystem::path& x, double sigma,
                const std::filesystem::path& vjp, const RunContext& context);

// What a model, checkpoint or array file holds
Summary info(const std::filesystem::path& file);

}  // namespace tweedie
