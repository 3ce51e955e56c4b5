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

namespace {

constexpr int64_t default_columns = 8, most_columns = 12;

}  // namespace

Summary sample(const SampleConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const LoadedPrior prior = load_drawable(config.prior, context);
  check_labels(prior, config.labels);
  const int64_t steps = config.sampler.steps.value_or(32);
  make_schedule(config.schedule, steps);  // throws before there is a folder
  make_sampler(config.sampler, steps);
  RunFolder folder(context.out, context.force);
  const auto [x, labels, record, evaluations] = sample_model(prior, config, context);
  const double sampling = watch.seconds();
  require_finite(x, "the model's draws");

  Summary summary = start_summary("sample", config.seed, context);
  summary["prior"] = prior.description;
  summary["draws"] = config.count;
  if (prior.denoiser != nullptr) summary["steps"] = steps;
  summary["network_evaluations"] = evaluations;
  summary["seconds_sampling"] = sampling;
  if (record.acceptance_rate) summary["acceptance_rate"] = *record.acceptance_rate;
  add_warnings(summary, prior.warnings);
  write_npy(folder.path("samples.npy"), x);
  if (labels.defined()) write_npy(folder.path("labels.npy"), labels);
  // A column for each label, where labels are taken in turn
  const auto turns = static_cast<int64_t>(config.labels.size());
  const int64_t columns = turns > 1 && turns <= most_columns ? turns : default_columns;
  const Figure figure = sample_figure(
      x, prior.low, prior.high,
      fmt::format("{} draws{}: {}", config.count,
                  prior.denoiser != nullptr ? fmt::format(", {} steps", steps) : "", prior.description),
      columns);
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("sample") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
