#pragma once
// The field tables (core/fields.h) of what [sampler] holds.

#include "core/fields.h"
#include "tweedie/annealed_langevin.h"
#include "tweedie/ddim.h"
#include "tweedie/ddpm.h"
#include "tweedie/dpm_solver.h"
#include "tweedie/euler.h"
#include "tweedie/heun.h"
#include "tweedie/mala.h"
#include "tweedie/predictor_corrector.h"
#include "tweedie/ula.h"

namespace tweedie {

constexpr auto names(HeunOptions::Coordinate) {
  return std::array{"sigma", "flow"};
}
constexpr auto names(DdpmOptions::Variance) {
  return std::array{"small", "large", "learned"};
}

inline void fields(FieldVisitor& visit, DdimOptions& o) {
  visit(o.eta, {"eta", "0: probability-flow ODE, 1: ancestral (DDPM)", {.min = 0, .max = 1}});
  visit(o.data_variance,
        {"data_variance", "of one coordinate: adds the noise that its spread calls for", {.min = 0}});
}
inline void fields(FieldVisitor& visit, HeunOptions& o) {
  visit(o.s_churn, {"s_churn", "noise added back over the whole walk; 0: ODE", {.min = 0}});
  visit(o.s_min, {"s_min", "lowest level at which it is added", {.min = 0}});
  visit(o.s_max, {"s_max", "highest level at which it is added", {.min = 0}});
  visit(o.s_noise, {"s_noise", "standard deviation of the added noise", {.min = 0, .open_min = true}});
  visit(o.coordinate, {"coordinate", "in which steps are straight: sigma (EDM) or flow matching's time"});
}
inline void fields(FieldVisitor&, EulerOptions&) {}
inline void fields(FieldVisitor& visit, DdpmOptions& o) {
  visit(o.variance, {"variance", "of a step's noise: that given x_0, or beta of the VP path"});
}
inline void fields(FieldVisitor& visit, DpmSolver2mOptions& o) {
  visit(o.eta, {"eta", "0: probability-flow ODE, 1: reverse SDE", {.min = 0, .max = 1}});
}
inline void fields(FieldVisitor& visit, PredictorCorrectorOptions& o) {
  visit(o.eta, {"eta", "of the predictor, 0: DDIM, 1: ancestral", {.min = 0, .max = 1}});
  visit(o.corrections, {"corrections", "Langevin steps at each level", {.min = 0, .max = 1e6}});
  visit(o.tau, {"tau", "their step in units of sigma^2", {.min = 0, .max = 1, .open_min = true}});
  visit(o.snr, {"snr", "instead of tau: signal-to-noise ratio of a step", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, AnnealedLangevinOptions& o) {
  visit(o.iterations, {"iterations", "at each level", {.min = 1, .max = 1e9}});
  visit(o.step, {"step", "in units of sigma^2", {.min = 0, .open_min = true}});
  visit(o.denoise, {"denoise", "end at the denoised x"});
}
template <class Chain>
void chain_fields(FieldVisitor& visit, Chain& o) {
  visit(o.iterations, {"iterations", "of the chain, at the schedule's last level", {.min = 1, .max = 1e9}});
  visit(o.step, {"step", "in squared units of the data", {.min = 0, .open_min = true}});
  visit(o.start_std, {"start_std", "standard deviation of the start", {.min = 0}});
}
inline void fields(FieldVisitor& visit, UlaOptions& o) {
  chain_fields(visit, o);
}
inline void fields(FieldVisitor& visit, MalaOptions& o) {
  chain_fields(visit, o);
}

}  // namespace tweedie
