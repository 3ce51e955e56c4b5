#include "run/compare_metrics.h"

#include "core/shape.h"
#include "tweedie/frechet.h"
#include "tweedie/metrics.h"
#include "tweedie/transport.h"
#include "tweedie/two_sample.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

const char* name_of(Metric metric) {
  return names(metric)[static_cast<size_t>(metric)];
}

// Sorting does on a line, where there may be any number of draws.
bool on_a_line(const SampleSet& a) {
  return a.x.numel() == a.x.size(0);
}

Distance transport(double p) {
  return [p](const SampleSet& a, const SampleSet& b) {
    return on_a_line(a) ? wasserstein_1d(a, b, p) : optimal_transport(a, b, p).distance;
  };
}

Distance sliced(SlicedConvention convention, uint64_t seed) {
  return [=](const SampleSet& a, const SampleSet& b) {
    return sliced_wasserstein(a, b, {.convention = convention, .seed = seed});
  };
}

C2stOptions c2st_options(uint64_t seed, int64_t permutations) {
  return {.permutation = {.permutations = permutations, .seed = seed}};
}

struct Entry {
  const char* key;
  Distance distance;
  int64_t splits = 20;  // of the floor; fewer where one distance takes seconds
};

Entry entry_of(Metric metric, const MetricSettings& settings) {
  const uint64_t seed = settings.seed;
  const double range = settings.value_range;
  using Set = const SampleSet&;
  switch (metric) {
    case Metric::w1:
      return {"w1", transport(1), 5};
    case Metric::w2:
      return {"w2", transport(2), 5};
    case Metric::sliced_w1:
      return {"sliced_wasserstein", sliced(SlicedConvention::mean_w1, seed)};
    case Metric::sliced_w2:
      return {"sliced_w2", sliced(SlicedConvention::root_mean_w2, seed)};
    case Metric::max_sliced_w2:
      return {"max_sliced_w2", sliced(SlicedConvention::max_w2, seed)};
    case Metric::sinkhorn:
      return {"sinkhorn", [](Set a, Set b) { return sinkhorn_divergence(a, b).divergence; }, 5};
    case Metric::gaussian_w2:
      return {"gaussian_w2", gaussian_w2};
    case Metric::mmd:
      return {"mmd", [=](Set a, Set b) { return mmd_squared(a, b, {.seed = seed}); }};
    case Metric::energy:
      return {"energy_distance", energy_distance_unbiased};
    case Metric::c2st:
      return {"c2st", [=](Set a, Set b) { return c2st(a, b, c2st_options(seed, 1)).accuracy; }, 5};
    case Metric::rf_fd:
      return {"rf_fd", [=](Set a, Set b) { return rf_fd(a, b, {.seed = seed}); }};
    case Metric::psnr:
      return {"psnr", [=](Set a, Set b) { return psnr(a.x, b.x, range).mean().item<double>(); }};
    case Metric::ssim:
      return {"ssim", [=](Set a, Set b) { return ssim(a.x, b.x, range).mean().item<double>(); }};
  }
  throw Error("--metric", "not one that is known");
}

// Whatever else the metric has to say; its value too where both come from one computation.
void add_details(Summary& summary, Metric metric, const SampleSet& a, const SampleSet& b,
                 const MetricSettings& settings) {
  if (metric == Metric::sliced_w1) {
    summary["sliced_wasserstein_convention"] = "mean over 100 directions of W1";
  } else if (metric == Metric::energy) {
    summary["energy_p_value"] = energy_p_value(a, b, {.seed = settings.seed});
  } else if (metric == Metric::mmd) {
    summary["mmd_p_value"] = mmd_p_value(a, b, {.seed = settings.seed}, {.seed = settings.seed});
  } else if (metric == Metric::c2st) {
    const C2st test = c2st(a, b, c2st_options(settings.seed, 199));
    summary["c2st_null_std"] = test.null_std;
    summary["c2st_p_value"] = test.p_value;
  } else if (metric == Metric::psnr || metric == Metric::ssim) {
    summary["value_range"] = settings.value_range;
  }
}

void add_sinkhorn(Summary& summary, const SampleSet& a, const SampleSet& b) {
  const SinkhornDivergence s = sinkhorn_divergence(a, b);
  summary["sinkhorn"] = s.divergence;
  summary["sinkhorn_epsilon"] = s.epsilon;
  summary["sinkhorn_iterations"] = s.iterations;
  summary["sinkhorn_marginal_error"] = s.marginal_error;
  if (s.converged) return;
  summary["warnings"].push_back(
      fmt::format("sinkhorn: not converged after {} iterations, the marginals are off by {:.2g}",
                  s.iterations, s.marginal_error));
}

// The dual value proves that no plan costs less.
void add_transport(Summary& summary, const char* key, double p, const SampleSet& a, const SampleSet& b) {
  const Transport plan = optimal_transport(a, b, p);
  summary[key] = plan.distance;
  summary[fmt::format("{}_duality_gap", key)] = std::max(plan.cost - plan.dual, 0.0);
}

}  // namespace

void require_sets_for(Metric metric, const CompareRequest& request, const SampleSet& a, const SampleSet& b) {
  const bool square =
      (metric == Metric::w1 || metric == Metric::w2) ? !on_a_line(a) : metric == Metric::sinkhorn;
  for (const auto& [set, path] : {std::pair{&a, &request.a}, std::pair{&b, &request.b}}) {
    if (!square || set->x.size(0) <= transport_max_rows) continue;
    throw Error(path->string(),
                fmt::format("{} draws, but --metric {} takes at most {}; sliced-w1 takes any number",
                            set->x.size(0), name_of(metric), transport_max_rows));
  }
  if (metric != Metric::psnr && metric != Metric::ssim) return;
  if (a.x.size(0) != b.x.size(0)) {
    throw Error(request.b.string(),
                fmt::format("{} draws, but {} has {}; --metric {} takes them in pairs", b.x.size(0),
                            request.a.string(), a.x.size(0), name_of(metric)));
  }
  if (a.log_weight.defined() || b.log_weight.defined()) {
    throw Error(a.log_weight.defined() ? "--weights-a" : "--weights-b",
                fmt::format("--metric {} takes draws in pairs, without weights", name_of(metric)));
  }
  if (metric == Metric::ssim && a.x.dim() < 3) {
    throw Error(request.a.string(),
                fmt::format("draws of shape {}, but --metric ssim needs images (..., H, W)",
                            to_string(a.x.sizes().slice(1))));
  }
}

void add_metric(Summary& summary, Metric metric, const SampleSet& a, const SampleSet& b,
                const MetricSettings& settings, bool floor) {
  const Entry entry = entry_of(metric, settings);
  if (summary.contains(entry.key)) return;  // asked for twice
  if (metric == Metric::sinkhorn) {
    add_sinkhorn(summary, a, b);
  } else if ((metric == Metric::w1 || metric == Metric::w2) && !on_a_line(a)) {
    add_transport(summary, entry.key, metric == Metric::w1 ? 1 : 2, a, b);
  } else {
    summary[entry.key] = entry.distance(a, b);
  }
  if (floor) {
    const Floor f = metric == Metric::rf_fd
                        ? rf_fd_with_floor(a, b, {.seed = settings.seed}, entry.splits).floor
                        : distance_floor(entry.distance, a, b, {entry.splits, settings.seed});
    summary[fmt::format("{}_floor", entry.key)] = f.mean;
    summary[fmt::format("{}_floor_std", entry.key)] = f.std;
  }
  add_details(summary, metric, a, b, settings);
}

}  // namespace tweedie
