#pragma once
// The field tables (core/fields.h) of what is trained and how.

#include "io/option_fields.h"
#include "tweedie/objective.h"
#include "tweedie/train.h"

namespace tweedie {

// A network and a score-based objective.
struct DiffusionOptions {
  static constexpr const char* kind = "diffusion";
  bool conditional = false;    // on the labels of the data
  double label_dropout = 0.1;  // share of rows whose label is hidden, so that p(x) is learned too
};

// [train]: with the objective, where the model has one
struct TrainTable {
  Objective objective = EdmObjective{};
  std::optional<double> sigma_data;  // standard deviation of the data; measured if not given
  TrainOptions options;
  bool has_objective = true;
};

constexpr auto names(Mirror) {
  return std::array{"none", "horizontal", "both"};
}
constexpr auto names(Optimiser) {
  return std::array{"adamw", "muon"};
}
constexpr auto names(Precision) {
  return std::array{"auto", "f32", "bf16"};
}

inline void fields(FieldVisitor& visit, DiffusionOptions& o) {
  visit(o.conditional, {"conditional", "learn p(x | label) and p(x), from data with labels"});
  visit(o.label_dropout, {"label_dropout",
                          "share of rows whose label is hidden in training",
                          {.min = 0, .max = 1, .open_min = true, .open_max = true}});
}

template <class WithLevels>
void log_normal_fields(FieldVisitor& visit, WithLevels& o) {
  visit(o.p_mean, {"p_mean", "ln sigma ~ N(p_mean, p_std^2)"});
  visit(o.p_std, {"p_std", "ln sigma ~ N(p_mean, p_std^2)", {.min = 0, .open_min = true}});
}
template <class Weighted>
void weighting_field(FieldVisitor& visit, Weighted& o) {
  visit(o.weighting, {"weighting", "of |D - x|^2 by noise level; natural: the paper's own"});
}
inline void fields(FieldVisitor& visit, EdmObjective& o) {
  log_normal_fields(visit, o);
  weighting_field(visit, o);
}
inline void fields(FieldVisitor& visit, DdpmObjective& o) {
  visit(o.prediction, {"prediction", "what the network computes"});
  visit(o.path, {"path", "noise levels, on data of standard deviation 1"});
  visit(o.learn_variance,
        {"learn_variance", "that of the ancestral step, for sampler.variance = \"learned\""});
  weighting_field(visit, o);
}
inline void fields(FieldVisitor& visit, NcsnObjective& o) {
  visit(o.sigma_min, {"sigma_min", "least level", {.min = 0, .open_min = true}});
  visit(o.sigma_max, {"sigma_max", "largest level", {.min = 0, .open_min = true}});
  visit(o.levels,
        {"levels", "number of them, geometric; without it ln sigma is uniform", {.min = 1, .max = 1e6}});
  weighting_field(visit, o);
}
inline void fields(FieldVisitor& visit, FlowMatchingObjective& o) {
  visit(o.times, {"times", "law of t"});
  visit(o.optimal_transport, {"optimal_transport", "pair noise and data by least squared distance"});
  weighting_field(visit, o);
}
inline void fields(FieldVisitor& visit, DsmObjective& o) {
  visit(o.sigma, {"sigma", "the one noise level", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, IsmObjective& o) {
  log_normal_fields(visit, o);
}
inline void fields(FieldVisitor& visit, SsmObjective& o) {
  visit(o.direction, {"direction", "law of the random directions"});
  visit(o.projections, {"projections", "directions for each row", {.min = 1, .max = 1e6}});
  visit(o.variance_reduced, {"variance_reduced", "|s|^2 in place of (v^T s)^2"});
  log_normal_fields(visit, o);
}

inline void fields(FieldVisitor& visit, TrainOptions& o) {
  visit(o.steps, {"steps", "optimiser steps; without it, what fits in `minutes`", {.min = 1, .max = 1e9}});
  visit(o.minutes,
        {"minutes", "of training, when steps is not given", {.min = 0, .max = 1e6, .open_min = true}});
  visit(o.batch, {"batch", "samples per step", {.min = 1, .max = 1e6}});
  visit(o.accumulate, {"accumulate",
                       "parts of a batch that are computed one after another, to save memory",
                       {.min = 1, .max = 1e6}});
  visit(o.optimiser, {"optimiser", "muon: steps of equal size along all singular directions of each matrix"});
  visit(o.learning_rate, {"learning_rate", "peak", {.min = 0, .open_min = true}});
  visit(o.weight_decay, {"weight_decay", "decoupled", {.min = 0}});
  visit(o.warmup_steps, {"warmup_steps", "from 0 to the peak; a half cosine down to 0 follows", {.min = 0}});
  visit(o.gradient_clip, {"gradient_clip", "largest norm of the gradient", {.min = 0, .open_min = true}});
  visit(o.ema_ratio,
        {"ema_ratio", "half-life of the average of the weights over the steps so far", {.min = 0, .max = 1}});
  visit(o.precision, {"precision", "of the network; auto: f32 on the CPU, bf16 on a GPU"});
  visit(o.augment.mirror, {"mirror", "flip images at random, left to right or also upside down"});
  visit(o.augment.shift, {"shift", "move images at random by as many pixels either way", {.min = 0}});
  visit(o.validation, {"validation",
                       "share of the data held out to measure the loss on",
                       {.min = 0, .max = 1, .open_max = true}});
  visit(o.validation_steps, {"validation_steps", "between two such measurements", {.min = 1}});
  visit(o.patience, {"patience", "measurements without a better one after which training stops", {.min = 1}});
}

inline void fields(FieldVisitor& visit, TrainTable& o) {
  if (o.has_objective) {
    visit.flatten(o.objective, {"objective", "what is minimised"});
    visit(o.sigma_data, {"sigma_data",
                         "standard deviation of the data; measured if not given",
                         {.min = 0, .open_min = true}});
  }
  visit.flatten(o.options);
}

}  // namespace tweedie
