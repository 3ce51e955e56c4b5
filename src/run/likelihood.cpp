// tweedie likelihood: RUN/log_prob.npy, log p of each row of the data in nats; with two or more probes also
// standard_error.npy, theirs.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/run_folder.h"
#include "run/flow_rows.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"
#include "tweedie/normalising_flow.h"
#include "tweedie/predictor.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace tweedie {

namespace {

// What a family without a denoiser says of its own
FlowDensity of_family(const LoadedPrior& model, const std::filesystem::path& file, const Tensor& x,
                      const LikelihoodRequest& request, const RunContext& context, Summary& summary) {
  if (request.exact || request.sigma_min)
    throw Error(request.exact ? "--exact" : "--sigma-min",
                "this family has one likelihood, its own; leave it out");
  const auto known = model.generative->log_likelihood(x, Noise(request.seed), context.threads);
  if (!known) throw Error(file.string(), "this family has no likelihood");
  summary["log_prob_kind"] = names(LikelihoodKind{})[static_cast<size_t>(known->kind)];
  FlowDensity result;
  result.log_prob = known->nats;
  result.evaluations = at::zeros({x.size(0)}, at::kLong);
  result.converged = known->nats.isfinite();
  return result;
}

FlowDensity closed_form(const LoadedPrior& prior, const Tensor& x, double sigma) {
  const auto* analytic = dynamic_cast<const AnalyticPrior*>(prior.denoiser.get());
  if (analytic == nullptr)
    throw Error("--exact", "this model is no analytic prior; without it the density is integrated");
  if (!(sigma >= 0 && std::isfinite(sigma)))
    throw Error("--sigma-min", fmt::format("{}: a finite number of at least 0 is meant", sigma));
  FlowDensity result;
  result.log_prob = analytic->log_prob(x, sigma);
  result.evaluations = at::zeros({x.size(0)}, at::kLong);
  result.converged = result.log_prob.isfinite();
  return result;
}

// Mean and bits over the rows that converged
void summarise(const FlowDensity& density, int64_t dimension, double grey, Summary& summary) {
  const Tensor good = density.log_prob.masked_select(density.converged);
  const int64_t rows = density.log_prob.numel(), lost = rows - good.numel();
  summary["log_prob_mean"] = nullptr;
  summary["bits_per_dimension"] = nullptr;
  if (good.numel() > 0) {
    const double mean = good.mean().item<double>();
    summary["log_prob_mean"] = mean;
    if (good.numel() > 1) {
      summary["log_prob_standard_error"] =
          good.std().item<double>() / std::sqrt(static_cast<double>(good.numel()));
    }
    summary["bits_per_dimension"] = bits_per_dimension(mean, dimension, grey);
  }
  summary["converged"] = good.numel();
  if (lost > 0) {
    summary["warnings"].push_back(
        fmt::format("{} of {} rows did not converge and are NaN: loosen --tolerance, or use dtype f32 for a "
                    "network; the mean is over the others",
                    lost, rows));
  }
}

}  // namespace

Summary likelihood(const LikelihoodRequest& request, const RunContext& given) {
  const Stopwatch watch;
  RunContext context = given;
  // The solver can't see through the rounding of bfloat16.
  if (context.precision == Precision::automatic) context.precision = Precision::f32;
  const LoadedPrior prior = load_drawable(prior_of(request.model), context);
  const Tensor x = read_rows(request.data, shape_of(prior));
  if (x.size(0) == 0) throw Error(request.data.string(), "no rows in it");
  const int64_t dimension = product(shape_of(prior));
  FlowDensityOptions options = request.flow;
  const double sigma_min = request.sigma_min.value_or(request.exact ? 0 : options.sigma_min);
  options.sigma_min = sigma_min;
  if (const auto* network = dynamic_cast<const NetworkDenoiser*>(prior.denoiser.get()))
    options.data_std = network->sigma_data();
  RunFolder folder(context.out, context.force);
  Summary summary = start_summary("likelihood", request.seed, context);
  const bool integrated = prior.denoiser != nullptr && !request.exact;
  const FlowDensity density =
      prior.denoiser == nullptr ? of_family(prior, request.model, x.to(at::kFloat), request, context, summary)
      : request.exact           ? closed_form(prior, x, sigma_min)
                                : flow_in_slices(*prior.denoiser, x, options, Noise(request.seed), context);

  summary["prior"] = prior.description;
  add_warnings(summary, prior.warnings);
  summary["rows"] = x.size(0);
  summary["dimension"] = dimension;
  if (prior.denoiser != nullptr) summary["sigma_min"] = sigma_min;
  if (integrated) {
    const bool known = dynamic_cast<const AnalyticPrior*>(prior.denoiser.get()) != nullptr;
    summary["sigma_max"] = options.sigma_max;
    summary["density_at_sigma_max"] =
        known ? "exact" : fmt::format("N(0, sigma_max^2 + {}^2)", options.data_std);
    summary["divergence"] = options.divergence == Divergence::exact ? "exact" : "hutchinson";
    const double evaluations = density.evaluations.to(at::kDouble).mean().item<double>();
    summary["network_evaluations"] = evaluations;
    summary["network_vjps"] =
        evaluations *
        static_cast<double>(options.divergence == Divergence::exact ? dimension : options.probes);
  }
  summarise(density, dimension, grey_of(prior), summary);
  write_npy(folder.path("log_prob.npy"), density.log_prob);
  if (density.standard_error) write_npy(folder.path("standard_error.npy"), *density.standard_error);
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
