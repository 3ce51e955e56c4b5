// tweedie compare: how far apart two files of draws are.

#include "core/shape.h"
#include "run/services.h"
#include "tweedie/array_io.h"
#include "tweedie/metrics.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

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

}  // namespace

ComparisonOutcome compare_files(const std::filesystem::path& a, const std::filesystem::path& b,
                                std::optional<double> tolerance, uint64_t seed, const RunContext& context) {
  const Stopwatch watch;
  const Tensor x = read_draws(a), y = read_draws(b);
  if (x.sizes().slice(1) != y.sizes().slice(1)) {
    throw Error(b.string(),
                fmt::format("draws of shape {}, but those of {} are {}", to_string(y.sizes().slice(1)),
                            a.string(), to_string(x.sizes().slice(1))));
  }
  CompareOptions options;
  options.sliced.seed = options.permutation.seed = seed;
  const Comparison c = compare({x}, {y}, options);
  ComparisonOutcome outcome{start_summary("compare", seed, context),
                            !tolerance || c.sliced_wasserstein <= *tolerance};
  Summary& summary = outcome.summary;
  summary["draws"] = {c.rows_a, c.rows_b};
  summary["dimension"] = c.dimension;
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
  if (tolerance) {
    summary["tolerance"] = *tolerance;
    summary["within_tolerance"] = outcome.equal;
  }
  finish_summary(summary, watch);
  return outcome;
}

}  // namespace tweedie
