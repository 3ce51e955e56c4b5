#include "run/configs.h"

#include "io/operator_fields.h"

namespace tweedie {

bool takes_sampler(const MethodConfig& method) {
  return std::visit([]<class Rule>(const Rule&) { return std::is_constructible_v<Guidance, Rule>; },
                    method.rule);
}

bool is_point_estimate(const MethodConfig& method) {
  return std::visit(
      []<class Rule>(const Rule& rule) {
        return std::is_same_v<Rule, WienerOptions> || requires {
          point_estimate(rule, DrawOptions{});
        };
      },
      method.rule);
}

bool needs_prior(const MethodConfig& method) {
  if (const auto* wiener = std::get_if<WienerOptions>(&method.rule)) return wiener->data.empty();
  return std::visit(
      []<class Rule>(const Rule&) {
        return !requires {
          Rule::without_prior;
        };
      },
      method.rule);
}

void fields(FieldVisitor& visit, SamplerConfig& o) {
  visit.flatten(o.rule);
  visit(o.steps, {"steps", "from the first noise level to none", {.min = 1, .max = 1e6}});
}

void fields(FieldVisitor& visit, TrainConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.checkpoint_seconds, {"checkpoint_seconds", "between checkpoints", {.min = 0}});
  visit(o.half, {"half", "the model file in float16, half the size"});
  visit(o.data, {"data", "what to learn from", {.required = true}});
  visit(o.model, {"model", "the family of distributions"});
  if (takes_network(o.model)) visit(o.network, {"network", "what computes"});
  o.train.has_objective = takes_network(o.model);
  visit(o.train, {"train", "how to learn"});
}

void fields(FieldVisitor& visit, SampleConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.count, {"count", "number of draws", {.min = 1, .max = 1e8}});
  visit(o.labels, {"labels", "classes of the draws, in turn", {.min = 0, .max = 1e6}});
  visit(o.prior, {"prior", "what to draw from", {.required = true}});
  visit(o.schedule, {"schedule", "noise levels"});
  visit(o.sampler, {"sampler", "how to walk down them"});
}

void fields(FieldVisitor& visit, MeasureConfig::Measurement& o) {
  visit(o.truth, {"truth", "(*shape) or (N, *shape)"});
  visit(o.first, {"first", "first sample taken", {.min = 0}});
  visit(o.count, {"count", "samples taken; all when not given", {.min = 1, .max = 1e8}});
  visit(o.data, {"data", "a data set to take truths from"});
  visit(o.forward, {"operator", "y = A x + noise"});
  visit(o.noise, {"noise", "", {.required = true}});
}

void fields(FieldVisitor& visit, MeasureConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.prior, {"prior", "truths are drawn from it when neither truth nor data is given"});
  visit(o.measurement, {"measurement", "", {.required = true}});
  visit(o.schedule, {"schedule", "noise levels, for truths from a learned prior"});
  visit(o.sampler, {"sampler", "how to walk down them"});
}

void fields(FieldVisitor& visit, MeasurementConfig& o) {
  visit(o.run, {"run", "folder that `tweedie measure` made: y, truth, operator and noise in one"});
  visit(o.y, {"y", "(*codomain), or (cases, *codomain) for many problems at once"});
  visit(o.truth, {"truth", "only to score the result"});
  visit(o.shape, {"shape", "of x, for methods without a prior", {.min = 1}});
  visit(o.low, {"low", "what black pixels of y and truth stand for; by default the prior's range"});
  visit(o.high, {"high", "what white pixels stand for"});
  if (!o.run.empty()) return;
  visit(o.forward, {"operator", "y = A x + noise"});
  visit(o.noise, {"noise", "", {.required = true}});
}

namespace {
void fields_without_draws(FieldVisitor& visit, MethodConfig& o) {
  visit.flatten(o.rule);
  if (!is_point_estimate(o))
    visit(o.steps, {"steps", "from the first noise level to none", {.min = 1, .max = 1e6}});
}
}  // namespace

void fields(FieldVisitor& visit, MethodConfig& o) {
  fields_without_draws(visit, o);
  if (is_point_estimate(o)) {
    o.draws = 1;
  } else {
    visit(o.draws, {"draws", "for each case", {.min = 1, .max = 1e8}});
  }
}

void fields(FieldVisitor& visit, OutputConfig& o) {
  visit(o.format,
        {"format", "of mean, std and draws, beside .npy; auto: mean and std like the file of truth or y"});
}

void fields(FieldVisitor& visit, InferConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.prior, {"prior", "what is known of x"});
  visit(o.measurement, {"measurement", "what was measured", {.required = true}});
  visit(o.held_out,
        {"held_out", "what was measured of x besides: draws don't see it, diagnose asks if they predict it"});
  visit(o.schedule, {"schedule", "noise levels"});
  visit(o.method, {"method", "how to condition on y", {.required = true}});
  if (needs_prior(o.method) && !o.prior) visit(o.prior, {"prior", "what is known of x", {.required = true}});
  if (takes_sampler(o.method) && !o.sampler) o.sampler.emplace();
  visit(o.sampler, {"sampler", "how guidance walks down them; other methods take none"});
  visit(o.output, {"output", "what results are written as"});
}

void fields(FieldVisitor& visit, CalibrateOptions& o) {
  visit(o.simulations, {"simulations", "problems: x from the prior, y given x", {.min = 1, .max = 1e8}});
  visit(o.draws, {"draws", "from the posterior of each", {.min = 2, .max = 1e6}});
  visit(o.bins, {"bins", "of the rank histograms; divides draws + 1", {.min = 2, .max = 1e6}});
  visit(o.directions, {"directions", "random ones, whose coordinates are ranked", {.min = 1, .max = 1000}});
}

void fields(FieldVisitor& visit, CalibrateConfig::Measurement& o) {
  visit(o.forward, {"operator", "y = A x + noise"});
  visit(o.noise, {"noise", "", {.required = true}});
}

void fields(FieldVisitor& visit, CalibrateConfig::Method& o) {
  fields_without_draws(visit, o);
}

void fields(FieldVisitor& visit, CalibrateConfig& o) {
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.prior, {"prior", "what is known of x", {.required = true}});
  visit(o.measurement, {"measurement", "what is measured of x", {.required = true}});
  visit(o.schedule, {"schedule", "noise levels"});
  visit(o.sampler, {"sampler", "how guidance walks down them, and truths from a learned prior"});
  visit(o.method, {"method", "what is tested", {.required = true}});
  visit(o.calibrate, {"calibrate", "how much"});
}

}  // namespace tweedie
