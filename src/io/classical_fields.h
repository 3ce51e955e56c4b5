#pragma once
// The field tables (core/fields.h) of the methods that give one answer instead of draws.

#include "core/fields.h"
#include "tweedie/classical.h"
#include "tweedie/regularised.h"

namespace tweedie {

constexpr auto names(WeightRule) {
  return std::array{"discrepancy", "sure", "l-curve"};
}
constexpr auto names(TikhonovOptions::Penalty) {
  return std::array{"identity", "gradient"};
}
constexpr auto names(Wavelet) {
  return std::array{"haar", "db2", "db3", "db4"};
}
constexpr auto names(WienerOptions::Covariance) {
  return std::array{"full", "stationary"};
}
constexpr auto names(PnpOptions::Splitting) {
  return std::array{"admm", "hqs"};
}

namespace classical {
constexpr FieldRule positive{.min = 0, .open_min = true};
constexpr FieldRule some_iterations{.min = 1, .max = 1e7};
}  // namespace classical

inline void fields(FieldVisitor& visit, WeightOptions& o) {
  visit(o.weight, {"weight", "of the penalty beside 1/2 |A x - y|^2; chosen by `rule` when not given",
                   classical::positive});
  visit(o.rule, {"rule", "for the weight: |A x - y|^2 = m std^2, least risk, or the corner of the L-curve"});
}
inline void fields(FieldVisitor& visit, TikhonovOptions& o) {
  visit(o.penalty, {"penalty", "1/2 |x|^2, or of the differences of neighbours"});
  visit.flatten(o.weight);
}
inline void fields(FieldVisitor& visit, TvOptions& o) {
  visit(o.joint, {"joint", "one gradient over all channels, as colour and complex images want it"});
  visit(o.iterations, {"iterations", "at most", classical::some_iterations});
  visit(o.tolerance, {"tolerance", "relative change of x at which it stops; 0: never", {.min = 0}});
  visit(o.inner, {"inner", "steps of the dual method in each", {.min = 1, .max = 1e5}});
}
inline void fields(FieldVisitor& visit, FistaTvOptions& o) {
  visit.flatten(o.tv);
  visit.flatten(o.weight);
}
inline void fields(FieldVisitor& visit, AdmmTvOptions& o) {
  visit(o.rho,
        {"rho", "of the augmented Lagrangian; the residuals choose it when not given", classical::positive});
  visit.flatten(o.tv);
  visit.flatten(o.weight);
}
inline void fields(FieldVisitor& visit, WaveletL1Options& o) {
  visit(o.wavelet, {"wavelet", "Daubechies', by its vanishing moments"});
  visit(o.levels, {"levels", "as many as the image allows, up to 4, when not given", {.min = 1, .max = 30}});
  visit(o.iterations, {"iterations", "at most", classical::some_iterations});
  visit(o.tolerance, {"tolerance", "relative change of x at which it stops", classical::positive});
  visit.flatten(o.weight);
}
inline void fields(FieldVisitor& visit, WienerOptions& o) {
  visit(o.data, {"data", "(N, *shape), for mean and covariance; without it the prior's"});
  visit(o.covariance, {"covariance", "of data: as it is, or the power spectrum of the periodic image"});
  visit(o.rank, {"rank", "of full: probabilistic PCA", {.min = 1, .max = 1e6}});
}
inline void fields(FieldVisitor& visit, RichardsonLucyOptions& o) {
  visit(o.iterations, {"iterations", "fewer are smoother", classical::some_iterations});
  visit(o.background, {"background", "counts that are not of x, in the units of y", {.min = 0}});
  visit(o.tolerance, {"tolerance", "relative change of x at which it stops before", {.min = 0}});
}
inline void fields(FieldVisitor& visit, PnpOptions& o) {
  visit(o.splitting, {"splitting", "alternating directions or half-quadratic"});
  visit(o.level, {"level", "of the denoiser, in the units of x", classical::positive});
  visit(o.start,
        {"start", "level from which it falls over the first half; 1 when not given", classical::positive});
  visit(o.iterations, {"iterations", "at most", classical::some_iterations});
  visit(o.tolerance, {"tolerance", "relative change of x at which it stops", classical::positive});
}
inline void fields(FieldVisitor& visit, RedOptions& o) {
  visit(o.level, {"level", "of the denoiser at the end, in the units of x", classical::positive});
  visit(o.start,
        {"start", "level from which it falls over the first half; 1 when not given", classical::positive});
  visit(o.weight, {"weight", "of x - D(x); 1 / level^2 when not given", classical::positive});
  visit(o.iterations, {"iterations", "at most", classical::some_iterations});
  visit(o.tolerance, {"tolerance", "relative change of x at which it stops", classical::positive});
}
inline void fields(FieldVisitor& visit, MapOptions& o) {
  visit(o.level, {"level", "of the density that is climbed, in the units of x", classical::positive});
  visit(o.start, {"start", "level from which it falls over the first half", classical::positive});
  visit(o.iterations, {"iterations", "at most", classical::some_iterations});
  visit(o.step,
        {"step", "times the largest curvature", {.min = 0, .max = 2, .open_min = true, .open_max = true}});
  visit(o.momentum, {"momentum", "Nesterov's"});
}
inline void fields(FieldVisitor& visit, AugmentedLagrangianOptions& o) {
  visit(o.level, {"level", "of the denoiser at the end, in the units of x", classical::positive});
  visit(o.start, {"start", "and in the first round", classical::positive});
  visit(o.mu,
        {"mu", "of the squared distance in the first round, in units of |dh/dx|^2", classical::positive});
  visit(o.growth, {"growth", "of mu from round to round", {.min = 1}});
  visit(o.rounds, {"rounds", "of the multiplier", {.min = 1, .max = 1e6}});
  visit(o.inner, {"inner", "steps in each", {.min = 1, .max = 1e6}});
}
inline void fields(FieldVisitor& visit, DeepImagePriorOptions& o) {
  visit(o.iterations, {"iterations", "at most; it stops where the residual is that of the noise",
                       classical::some_iterations});
  visit(o.learning_rate, {"learning_rate", "of Adam", classical::positive});
  visit(o.perturbation, {"perturbation", "standard deviation of the noise added to the input", {.min = 0}});
  visit(o.average, {"average", "what an iteration keeps of it", {.min = 0, .max = 1, .open_max = true}});
  visit(o.channels, {"channels", "of the U-Net at full resolution", {.min = 4, .max = 1024}});
  visit(o.multipliers, {"multipliers", "of channels, one per resolution", {.min = 1, .max = 64}});
}

}  // namespace tweedie
