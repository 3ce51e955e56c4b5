#pragma once
// Each distance of `tweedie compare`: how it is computed and what it adds to the summary.

#include "run/services.h"
#include "tweedie/sample_set.h"

namespace tweedie {

struct MetricSettings {
  uint64_t seed;
  double value_range;  // of PSNR and SSIM
};

// Throws Error, with a file's name or a flag, when these sets are none for the metric.
void require_sets_for(Metric metric, const CompareRequest& request, const SampleSet& a, const SampleSet& b);

// Adds the metric's keys to the summary: its value, what belongs to it, and with `floor` KEY_floor and
// KEY_floor_std.
void add_metric(Summary& summary, Metric metric, const SampleSet& a, const SampleSet& b,
                const MetricSettings& settings, bool floor);

}  // namespace tweedie
