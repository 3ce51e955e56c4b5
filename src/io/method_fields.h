#pragma once
// The field tables (core/fields.h) of what [method] holds.

#include "core/fields.h"
#include "tweedie/ddrm.h"
#include "tweedie/guidance.h"
#include "tweedie/langevin_posterior.h"
#include "tweedie/particles.h"
#include "tweedie/red_diff.h"
#include "tweedie/replacement.h"
#include "tweedie/splitting.h"

namespace tweedie {

constexpr auto names(InnerDraw) {
  return std::array{"exact", "langevin"};
}
constexpr auto names(DapsOptions::Spread) {
  return std::array{"tweedie", "sigma"};
}
constexpr auto names(Resampling) {
  return std::array{"multinomial", "systematic", "stratified", "residual"};
}
constexpr auto names(TdsOptions::Twist) {
  return std::array{"pigdm", "dps", "bootstrap"};
}

inline void fields(FieldVisitor& visit, DpsOptions& o) {
  visit(o.step_size, {"step_size",
                      "the paper's practical zeta'; without it the likelihood's own weight",
                      {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, MmpsOptions& o) {
  visit(o.iterations, {"iterations", "of conjugate gradients, at most", {.min = 1, .max = 100000}});
  visit(o.tolerance, {"tolerance", "relative residual at which they stop", {.min = 0, .max = 1}});
}
inline void fields(FieldVisitor& visit, ParticleOptions& o) {
  visit(o.particles, {"particles", "of each chain", {.min = 1, .max = 1 << 24}});
  visit(o.chains,
        {"chains", "independent runs; as many as the draws need when not given", {.min = 1, .max = 1e6}});
  visit(o.resampling, {"resampling", "how ancestors are drawn"});
  visit(o.ess_threshold, {"ess_threshold",
                          "share of effective particles below which they are resampled; 1: always",
                          {.min = 0, .max = 1}});
  visit(o.ancestors, {"ancestors", "keep the whole genealogy: RUN/ancestors.npy"});
}
inline void fields(FieldVisitor& visit, McgdiffOptions& o) {
  visit(o.eta, {"eta", "noise of the prior's steps; 1: ancestral", {.min = 0, .max = 1, .open_min = true}});
  visit(o.kappa, {"kappa", "floor of the potentials' variance, relative to 1 + level^2", {.min = 0}});
  visit.flatten(o.smc);
}
inline void fields(FieldVisitor& visit, TdsOptions& o) {
  visit(o.twist, {"twist", "the proposal's guess of p(y | x_sigma)"});
  visit(o.data_variance, {"data_variance",
                          "of one coordinate of x, for twist = pigdm; the prior's",
                          {.min = 0, .open_min = true}});
  visit(o.eta, {"eta", "noise of the prior's steps; 1: ancestral", {.min = 0, .max = 1, .open_min = true}});
  visit(o.gamma, {"gamma", "the target is p(x) p(y | x)^gamma", {.min = 0, .open_min = true}});
  visit.flatten(o.smc);
}
inline void fields(FieldVisitor& visit, FpsOptions& o) {
  visit(o.eta, {"eta", "noise of the prior's steps; 1: ancestral", {.min = 0, .max = 1, .open_min = true}});
  visit.flatten(o.smc);
}
inline void fields(FieldVisitor&, ExactOptions&) {}
inline void fields(FieldVisitor& visit, PigdmOptions& o) {
  visit(
      o.data_variance,
      {"data_variance", "of one coordinate of x; without it the prior's own", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor&, TmpdOptions&) {}
inline void fields(FieldVisitor&, DdnmOptions&) {}
inline void fields(FieldVisitor&, OracleOptions&) {}
inline void fields(FieldVisitor& visit, CfgOptions& o) {
  visit(o.scale, {"scale", "of the guidance; 1: the posterior, others: no law with a name", {.min = 0}});
}
inline void fields(FieldVisitor& visit, DdrmOptions& o) {
  visit(o.eta, {"eta", "fresh part of a step's noise", {.min = 0, .max = 1}});
  visit(o.eta_b, {"eta_b", "weight of y where it is more precise than a step's noise", {.min = 0, .max = 1}});
}
inline void fields(FieldVisitor& visit, DdnmPlusOptions& o) {
  visit(o.eta, {"eta", "fresh part of a step's noise", {.min = 0, .max = 1}});
}

inline void fields(FieldVisitor& visit, InnerOptions& o) {
  visit(o.inner, {"inner", "draw given the data; exact for linear operators when not given"});
  visit(o.inner_steps, {"inner_steps", "of langevin", {.min = 1, .max = 1e6}});
  visit(o.inner_step,
        {"inner_step", "of langevin, times the largest curvature", {.min = 0, .max = 1, .open_min = true}});
}
inline void fields(FieldVisitor& visit, DiffpirOptions& o) {
  visit(o.lambda, {"lambda", "trust in the prior", {.min = 0, .open_min = true}});
  visit(o.zeta, {"zeta", "part of each level's noise that is new", {.min = 0, .max = 1}});
}
inline void fields(FieldVisitor& visit, DapsOptions& o) {
  visit(o.spread, {"spread", "of x_0 around its estimate: Tweedie's, or sigma as published"});
  visit(o.probes, {"probes", "for Tweedie's spread, one derivative each", {.min = 1, .max = 1e6}});
  visit(o.ode_steps, {"ode_steps", "to the estimate of x_0; 1: the posterior mean", {.min = 1, .max = 1e6}});
  visit.flatten(o.inner);
}
inline void fields(FieldVisitor& visit, PnpDmOptions& o) {
  visit(o.rho_min, {"rho_min", "last distance between x and its copy", {.min = 0, .open_min = true}});
  visit(o.reverse_steps, {"reverse_steps", "from that noise level to none", {.min = 1, .max = 1e6}});
  visit.flatten(o.inner);
}
inline void fields(FieldVisitor& visit, RedDiffOptions& o) {
  visit(o.lambda, {"lambda", "weight of the prior", {.min = 0, .open_min = true}});
  visit(o.learning_rate, {"learning_rate", "of Adam, in the units of x", {.min = 0, .open_min = true}});
}
inline void fields(FieldVisitor& visit, RepaintOptions& o) {
  visit(o.jump_length, {"jump_length", "steps of a block that is walked again", {.min = 1, .max = 1e6}});
  visit(o.repeats, {"repeats", "walks of each block", {.min = 1, .max = 1e6}});
}
inline void fields(FieldVisitor& visit, ReplacementOptions& o) {
  visit(o.lambda, {"lambda", "weight of y; 1 overwrites", {.min = 0, .max = 1, .open_min = true}});
  visit(o.correctors, {"correctors", "Langevin moves at each level", {.min = 0, .max = 1e6}});
  visit(o.corrector_step, {"corrector_step", "of sigma^2", {.min = 0, .max = 1, .open_min = true}});
}
inline void fields(FieldVisitor& visit, PosteriorLangevinOptions& o) {
  visit(o.steps_per_level, {"steps_per_level", "moves at each level", {.min = 1, .max = 1e6}});
  visit(o.gamma, {"gamma", "noise of y at level sigma, in sigma's units", {.min = 0}});
  visit(o.step, {"step", "of a move, times the curvature", {.min = 0, .max = 1, .open_min = true}});
  visit(o.precondition, {"precondition", "by the operator, where it is linear"});
  visit(o.level, {"level", "of the chain; the schedule's last if not given", {.min = 0, .open_min = true}});
  visit(o.chains, {"chains", "a divisor of draws; as many when not given", {.min = 1, .max = 1e8}});
  visit(o.warmup, {"warmup", "moves of a chain before its first draw", {.min = 0, .max = 1e8}});
  visit(o.thin, {"thin", "moves of a chain between draws", {.min = 1, .max = 1e8}});
  visit(o.metropolis, {"metropolis", "accept or reject moves; analytic priors only"});
}

}  // namespace tweedie
