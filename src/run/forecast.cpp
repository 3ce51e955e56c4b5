// tweedie forecast: RUN/forecast.npy, mean.npy, std.npy, figure.png, summary.json, run.toml.

#include "tweedie/forecast.h"

#include "core/shape.h"
#include "core/workers.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/image.h"
#include "io/run_folder.h"
#include "report/curves.h"
#include "run/findings.h"
#include "run/forecast_score.h"
#include "run/method.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// The frames that are conditioned on: (cases, frames - 1, *state)
Tensor read_history(const std::filesystem::path& path, const Window& window) {
  Tensor history = read_real_array(path);
  const auto axes = static_cast<int64_t>(window.state.size());
  if (history.dim() == axes + 1) history = history.unsqueeze(0);
  const int64_t known = window.frames - 1;
  if (history.dim() != axes + 2 || history.sizes().slice(2) != at::IntArrayRef(window.state) ||
      history.size(0) == 0 || history.size(1) < known) {
    throw Error(path.string(), fmt::format("shape {}, but (cases, H, *{}) with H of {} or more is meant",
                                           to_string(history.sizes()), to_string(window.state), known));
  }
  return history.slice(1, history.size(1) - known).contiguous();
}

std::vector<double> numbers(const Tensor& t) {
  const Tensor flat = t.to(at::kDouble).contiguous();
  return {flat.data_ptr<double>(), flat.data_ptr<double>() + flat.numel()};
}

// The errors over leads where there is a truth, else the first value of the first case's members
Figure forecast_figure(const std::optional<ForecastJudge>& judge, const Tensor& states,
                       const std::string& title) {
  Chart chart{.title = title, .x = {"lead"}, .y = {}, .series = {}};
  const int64_t leads = states.size(2);
  const auto x = numbers(at::arange(1, leads + 1, at::kDouble));
  if (judge) {
    chart.y = {"RMSE", false, 0};
    for (const auto& [name, curve] : judge->curves())
      chart.series.push_back(
          {.label = name, .x = x, .y = numbers(curve), .mark = leads > 1 ? Mark::line : Mark::dots});
    return draw_chart(chart);
  }
  chart.y.label = "first value of the state";
  const Tensor first = states[0].flatten(2).select(2, 0);  // (members, leads)
  for (int64_t m = 0; m < std::min<int64_t>(first.size(0), 50); ++m)
    chart.series.push_back({.x = x, .y = numbers(first[m]), .colour = 0, .opacity = 0.4});
  chart.series.push_back({.label = "mean", .x = x, .y = numbers(first.mean(0)), .colour = 1});
  return draw_chart(chart);
}

}  // namespace

Summary forecast(const ForecastConfig& config, const RunContext& context) {
  const Stopwatch watch;
  const ForecastOptions& o = config.forecast;
  const bool mean_only = o.mode == ForecastOptions::Mode::mean;
  const LoadedPrior prior = load_prior(config.prior, context);
  const Window window = window_of(prior.denoiser->shape(), o.frames, o.increment);
  const Tensor history = read_history(o.history, window);
  const int64_t cases = history.size(0), members = mean_only ? 1 : o.members;
  const FieldMap map(config.field, window.state, cases, o.leads);
  std::optional<ForecastJudge> judge;
  if (config.score) {
    const Tensor last = config.field ? Tensor() : history.select(1, window.frames - 2);
    judge.emplace(*config.score, map, last, cases, o.leads, members);
  }
  const int64_t steps = steps_of(config.method, config.sampler);
  const auto method = make_method(config.method, config.sampler.value_or(SamplerConfig{}), config.schedule,
                                  steps, context.draw_options(prior.dtype, prior.slice_rows));
  RunFolder folder(context.out, context.force);
  const Noise noise(config.seed);
  const Rollout rollout = roll_out(prior.denoiser, window, *method, history,
                                   {.leads = o.leads,
                                    .members = o.members,
                                    .mean = mean_only,
                                    .noise_std = o.noise_std,
                                    .step_noise_std = o.step_noise_std},
                                   noise, context.observer);

  const Shape all = with_batch(cases, with_batch(o.leads, map.shape()));
  const Tensor mean = at::empty(all, at::kDouble), std = members > 1 ? at::empty(all, at::kDouble) : Tensor();
  Tensor fields;
  if (config.field && config.field->write)
    fields = at::empty(with_batch(cases, with_batch(members, with_batch(o.leads, map.shape()))), at::kFloat);
  Workers workers(context.threads);
  workers.for_each(cases * o.leads, [&](int64_t i) {
    const int64_t c = i / o.leads, lead = i % o.leads;
    const Tensor states = rollout.states[c].select(1, lead), expected = map.expected(states, c, lead);
    const Tensor each = mean_only ? expected : map.with_residuals(expected, c, lead, noise);
    mean[c][lead] = expected.mean(0);
    if (std.defined())
      std[c][lead] = ((each - each.mean(0)).square_().sum(0) / static_cast<double>(members - 1)).sqrt();
    if (fields.defined()) fields[c].select(1, lead).copy_(each);
    if (judge) judge->take(each, expected, c, lead, noise);
  });

  Summary summary = start_summary("forecast", config.seed, context);
  add_warnings(summary, prior.warnings);
  add_warnings(summary, rollout.run.warnings);
  summary["method"] = name_of(config.method);
  summary["prior"] = prior.description;
  summary["cases"] = cases;
  summary["members"] = members;
  summary["frames"] = window.frames;
  summary["steps"] = rollout.run.steps;
  summary["network_evaluations"] = rollout.run.network_evaluations;
  summary["network_vjps"] = rollout.run.network_vjps;
  summary["operator_applications"] = rollout.run.operator_applications;
  summary["seconds_sampling"] = rollout.run.seconds;
  if (judge) {
    judge->describe(summary);
    if (const auto findings = judge->findings(); !findings.empty()) {
      summary["findings"] = to_json(findings);
      summary["verdict"] = verdict(findings).sentence;
    }
  }
  write_npy(folder.path("forecast.npy"), rollout.states);
  write_npy(folder.path("mean.npy"), mean);
  if (std.defined()) write_npy(folder.path("std.npy"), std);
  if (fields.defined()) write_npy(folder.path("fields.npy"), fields);
  const Figure figure = forecast_figure(
      judge, rollout.states, fmt::format("{}, {} cases, {} members", name_of(config.method), cases, members));
  if (!figure.has_words) summary["warnings"].push_back("no font was found: the figure has no words");
  write_png(folder.path("figure.png"), figure.image);
  write_atomically(folder.path("run.toml"), provenance("forecast") + write_fields(config));
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
