// tweedie compare: how far apart two files of draws are.

#include "core/shape.h"
#include "run/compare_metrics.h"
#include "tweedie/array_io.h"
#include "tweedie/metrics.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

Tensor read_draws(const std::filesystem::path& path) {
  const Tensor x = read_array(path);
  if (x.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  if (x.dim() == 0 || x.size(0) < 2) {
    throw Error(path.string(), fmt::format("shape {}, but (draws, *shape) with at least 2 draws is needed",
                                           to_string(x.sizes())));
  }
  return x.to(at::kDouble);
}

// (draws) or (draws, 1)
Tensor read_log_weights(const std::filesystem::path& path, int64_t draws) {
  const Tensor w = read_array(path);
  if (w.is_complex() || w.numel() != draws || w.dim() == 0 || w.size(0) != draws) {
    throw Error(path.string(), fmt::format("shape {}, but one log weight for each of {} draws is needed",
                                           to_string(w.sizes()), draws));
  }
  return w.to(at::kDouble).flatten();
}

double value_range(const CompareRequest& request, const Tensor& y) {
  if (request.range) return *request.range;
  const double range = (y.max() - y.min()).item<double>();
  if (range > 0) return range;
  throw Error(request.b.string(), "all values are equal; give their width by --range");
}

// What is computed without --metric, and the keys that are printed.
std::vector<std::string> add_usual(Summary& summary, const SampleSet& a, const SampleSet& b, uint64_t seed) {
  CompareOptions options;
  options.sliced.seed = options.permutation.seed = seed;
  const Comparison c = compare(a, b, options);
  summary["sliced_wasserstein"] = c.sliced_wasserstein;
  summary["sliced_wasserstein_convention"] = "mean over 100 directions of W1";
  summary["sliced_wasserstein_floor"] = c.sliced_floor.mean;
  summary["sliced_wasserstein_floor_std"] = c.sliced_floor.std;
  summary["energy_distance"] = c.energy_distance;
  summary["energy_p_value"] = c.energy_p_value;
  summary["mean_error"] = c.mean.absolute;
  summary["mean_error_relative"] = c.mean.relative;
  summary["mean_error_expected"] = c.mean.standard_error;
  summary["covariance_error"] = c.covariance.absolute;
  summary["covariance_error_relative"] = c.covariance.relative;
  summary["covariance_error_expected"] = c.covariance.standard_error;
  return {"sliced_wasserstein", "sliced_wasserstein_floor", "energy_distance",  "energy_p_value",
          "mean_error",         "mean_error_expected",      "covariance_error", "covariance_error_expected"};
}

}  // namespace

ComparisonOutcome compare_files(const CompareRequest& request, uint64_t seed, const RunContext& context) {
  const Stopwatch watch;
  SampleSet a{read_draws(request.a)}, b{read_draws(request.b)};
  if (a.x.sizes().slice(1) != b.x.sizes().slice(1)) {
    throw Error(request.b.string(),
                fmt::format("draws of shape {}, but those of {} are {}", to_string(b.x.sizes().slice(1)),
                            request.a.string(), to_string(a.x.sizes().slice(1))));
  }
  if (request.weights_a) a.log_weight = read_log_weights(*request.weights_a, a.x.size(0));
  if (request.weights_b) b.log_weight = read_log_weights(*request.weights_b, b.x.size(0));
  std::vector<Metric> metrics = request.metrics;
  const auto asked = [&](Metric m) { return std::find(metrics.begin(), metrics.end(), m) != metrics.end(); };
  if (!metrics.empty() && request.tolerance && !asked(Metric::sliced_w1))
    metrics.push_back(Metric::sliced_w1);
  for (const Metric metric : metrics) require_sets_for(metric, request, a, b);
  const bool in_pairs = asked(Metric::psnr) || asked(Metric::ssim);
  const MetricSettings settings{seed, in_pairs ? value_range(request, b.x) : 0};

  ComparisonOutcome outcome{start_summary("compare", seed, context), {"draws", "dimension"}, true};
  Summary& summary = outcome.summary;
  summary["draws"] = {a.x.size(0), b.x.size(0)};
  summary["dimension"] = a.x.numel() / a.x.size(0);
  std::vector<std::string>& results = outcome.results;
  if (metrics.empty()) {
    for (const std::string& key : add_usual(summary, a, b, seed)) results.push_back(key);
    if (request.floor) {
      const Floor f = distance_floor(energy_distance_unbiased, a, b, {.seed = seed});
      summary["energy_distance_floor"] = f.mean;
      summary["energy_distance_floor_std"] = f.std;
      results.insert(std::find(results.begin(), results.end(), "energy_p_value"), "energy_distance_floor");
    }
  } else {
    Summary values;
    values["warnings"] = Summary::array();
    for (const Metric metric : metrics) add_metric(values, metric, a, b, settings, request.floor);
    summary["warnings"] = values["warnings"];
    values.erase("warnings");
    for (const auto& [key, value] : values.items()) results.push_back(key), summary[key] = value;
  }
  if (request.tolerance) {
    outcome.equal = summary["sliced_wasserstein"].get<double>() <= *request.tolerance;
    summary["tolerance"] = *request.tolerance;
    summary["within_tolerance"] = outcome.equal;
    results.insert(results.end(), {"tolerance", "within_tolerance"});
  }
  finish_summary(summary, watch);
  return outcome;
}

}  // namespace tweedie
