// tweedie sample: RUN/samples.npy, figure.png, summary.json, run.toml.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "run/figures.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

Summary sample(const SampleConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const LoadedPrior prior = load_prior(config.prior, context);
  const int64_t steps = config.sampler.steps.value_or(32);
  const NoiseSchedule schedule = make_schedule(config.schedule, steps);
  const auto sampler = make_sampler(config.sampler, steps);
  if (!config.labels.empty() && !prior.given)
    throw Error("labels", "this model was not trained with classes");
  // A case for each label, or one of none
  const auto cases = std::max<int64_t>(1, static_cast<int64_t>(config.labels.size()));
  const Tensor labels = at::tensor(config.labels, at::kLong);
  if (!config.labels.empty()) prior.given(labels);  // throws before there is a folder
  const auto denoiser = [&](const std::vector<int64_t>& of_rows) {
    return config.labels.empty() ? prior.denoiser : prior.given(labels.index_select(0, at::tensor(of_rows)));
  };
  RunFolder folder(context.out, context.force);
  const DrawOptions options = context.draw_options(prior.dtype);
  RunRecord record;
  const Tensor x =
      draw(denoiser, prior.denoiser->shape(), *sampler, schedule, (config.count + cases - 1) / cases, cases,
           Noise(config.seed), context.observer, options, &record)
          .flatten(0, 1)
          .slice(0, 0, config.count);
  const double sampling = watch.seconds();
  require_finite(x, "the model's draws");

  Summary summary = start_summary("sample", config.seed, context);
  summary["prior"] = prior.description;
  summary["draws"] = config.count;
  summary["steps"] = steps;
  summary["network_evaluations"] = sampler->total_evaluations(steps);
  summary["seconds_sampling"] = sampling;
  if (record.acceptance_rate) summary["acceptance_rate"] = *record.acceptance_rate;
  for (const std::string& warning : prior.warnings) summary["warnings"].push_back(warning);
  write_npy(folder.path("samples.npy"), x);
  if (!config.labels.empty())
    write_npy(folder.path("labels.npy"), labels.repeat({x.size(0) / cases + 1}).slice(0, 0, x.size(0)));
  const Figure figure =
      sample_figure(x, prior.low, prior.high,
                    fmt::format("{} draws, {} steps: {}", config.count, steps, prior.description));
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("sample") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
