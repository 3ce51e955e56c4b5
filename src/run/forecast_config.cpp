#include "run/forecast_config.h"

namespace tweedie {

void fields(FieldVisitor& visit, ForecastOptions& o) {
  visit(o.history, {"history", "(H, *state) or (cases, H, *state), oldest first", {.required = true}});
  visit(o.frames,
        {"frames", "in the prior's x, along its first axis; by default each entry is one", {.min = 2}});
  visit(o.increment, {"increment", "the last frame is x_{t+1} - x_t"});
  visit(o.mode, {"mode", "ensemble: members draw their next state; mean: one trajectory of means"});
  visit(o.leads, {"leads", "steps ahead", {.min = 1, .max = 1e6}});
  visit(o.members, {"members", "of the ensemble; draws that a mean is taken over", {.min = 1, .max = 1e6}});
  visit(o.noise_std, {"noise_std", "of the history's measurement error", {.min = 0}});
  visit(o.step_noise_std,
        {"step_noise_std", "that each step conditions with, for methods that need some", {.min = 0}});
}

void fields(FieldVisitor& visit, FieldOptions& o) {
  visit(o.basis, {"basis", "(K, *field) for states of K numbers"});
  visit(o.offset, {"offset", "(*field), (leads, *field) or (cases, leads, *field)"});
  visit(o.residuals, {"residuals", "(N, *field) or (leads, N, *field): each member has one of the N"});
  visit(o.write, {"write", "fields.npy too, (cases, members, leads, *field)"});
}

void fields(FieldVisitor& visit, BaselineOptions& o) {
  visit(o.name, {"name", "", {.required = true}});
  visit(o.file, {"file", "(*field), (leads, *field) or (cases, leads, *field)", {.required = true}});
}

void fields(FieldVisitor& visit, ScoreOptions& o) {
  visit(o.truth, {"truth", "(cases, leads, *field)", {.required = true}});
  visit(o.climatology, {"climatology", "(*field), (leads, *field) or (cases, leads, *field)"});
  visit(o.latitude, {"latitude", "of the field's rows, in degrees: their weight is its cosine"});
  visit(o.weight, {"weight", "of the field's values; broadcasts to it"});
  visit(o.bins, {"bins", "of the rank histograms; divides members + 1", {.min = 2, .max = 1e6}});
  visit(o.block,
        {"block", "cases after each other that count as one in standard errors", {.min = 1, .max = 1e6}});
  visit(o.baselines, {"baseline", "forecasts to compare with"});
}

void fields(FieldVisitor& visit, ForecastConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.prior, {"prior", "of windows of consecutive states", {.required = true}});
  visit(o.forecast, {"forecast", "from what, how far", {.required = true}});
  visit(o.field, {"field", "that a state stands for; itself when not given"});
  visit(o.score, {"score", "against what came"});
  visit(o.schedule, {"schedule", "noise levels"});
  visit(o.method, {"method", "how to condition on the known states", {.required = true}});
  if (takes_sampler(o.method) && !o.sampler) o.sampler.emplace();
  visit(o.sampler, {"sampler", "how guidance walks down them; other methods take none"});
}

}  // namespace tweedie
