#pragma once
// How good a learned distribution is, on data that it was not trained on.

#include "run/configs.h"
#include "run/context.h"

namespace tweedie {

struct EvaluateRequest {
  SampleConfig model;                // what is drawn, and how
  DataOptions data;                  // held out
  std::optional<DataOptions> train;  // what it was trained on, for the check of memorisation
  std::filesystem::path classifier;  // an independent one, for the agreement of classes; none when empty
  int64_t likelihood_rows = 256;     // of the data; 0: no likelihood
};

// RUN/summary.json, report.md, samples.npy, figure.png
Summary evaluate(const EvaluateRequest& request, const RunContext& context);

}  // namespace tweedie
