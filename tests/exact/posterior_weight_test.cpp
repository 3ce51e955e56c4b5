// The rules for the weight, on a diagonal Tikhonov problem where x(y) and all that the rules look at are
// known: y = diag(a) x, x_i(w) = a_i y_i / (a_i^2 + w).
#include "tweedie/operators.h"
#include "tweedie/regularised.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

struct Diagonal {
  Tensor a = at::logspace(0, -2, 40, 10.0, at::kDouble);
  Tensor truth = normal({40}, 1);
  double noise_std = 0.05;
  Tensor y = a * truth + noise_std * normal({40}, 2);

  Problem problem() const {
    return {nullptr, GaussianLikelihood(make_matrix({40}, at::diag(a)), noise_std), y.unsqueeze(0)};
  }
  Tensor residual(double w) const { return y * w / (a.square() + w); }
  double residual2(double w) const { return residual(w).square().sum().item<double>(); }
  double penalty(double w) const { return 0.5 * (a * y / (a.square() + w)).square().sum().item<double>(); }
  double divergence(double w) const { return (a.square() / (a.square() + w)).sum().item<double>(); }
  double sure(double w) const {
    const double variance = noise_std * noise_std;
    return residual2(w) / 40 - variance + 2 * variance * divergence(w) / 40;
  }
  // of the L-curve at w, by differences so small that they are exact to some digits
  double curvature(double w) const {
    const auto rho = [&](double t) { return 0.5 * std::log(residual2(std::exp(t))); };
    const auto eta = [&](double t) { return std::log(penalty(std::exp(t))); };
    const double t = std::log(w), h = 1e-3;
    const auto first = [&](auto f) { return (f(t + h) - f(t - h)) / (2 * h); };
    const auto second = [&](auto f) { return (f(t + h) - 2 * f(t) + f(t - h)) / (h * h); };
    return (first(rho) * second(eta) - second(rho) * first(eta)) /
           std::pow(std::hypot(first(rho), first(eta)), 3);
  }
};

double chosen(WeightRule rule, const Problem& problem, RunRecord* record = nullptr) {
  const Draws found =
      point_estimate(TikhonovOptions{.weight = {.rule = rule}}, {.threads = 1, .dtype = at::kDouble})
          ->sample(problem, 1, Noise(3), {});
  if (record != nullptr) *record = found.run;
  return found.run.point->weight[0].item<double>();
}

TEST(WeightRule, DiscrepancyHitsItsTarget) {
  const Diagonal d;
  const double w = chosen(WeightRule::discrepancy, d.problem()), target = 40 * d.noise_std * d.noise_std;
  EXPECT_NEAR(d.residual2(w) / target, 1, 1e-3);
  EXPECT_GT(std::abs(d.residual2(1.2 * w) / target - 1), 2e-3);  // what it would not have taken
}

TEST(WeightRule, DiscrepancyEndsWhereThereIsNothingButNoise) {
  Diagonal d;
  d.y = 0.5 * d.noise_std * normal({40}, 4);  // less than the noise should be
  EXPECT_GT(chosen(WeightRule::discrepancy, d.problem()), 1e5);
}

TEST(WeightRule, SureIsLeastAtItsWeight) {
  const Diagonal d;
  RunRecord record;
  const double w = chosen(WeightRule::sure, d.problem(), &record);
  double least = INFINITY;
  for (double t = -14; t < 4; t += 0.01) least = std::min(least, d.sure(std::exp(t)));
  EXPECT_NEAR(d.sure(w), least, 1e-4 * std::abs(least));
  for (const WeightTrial& t : record.point->trials[0]) {
    EXPECT_NEAR(t.score, d.sure(t.weight), 1e-10);
    EXPECT_NEAR(t.residual2, d.residual2(t.weight), 1e-9);
    EXPECT_NEAR(t.penalty, d.penalty(t.weight), 1e-8 * t.penalty);
  }
}

// With a penalty whose divergence is not known one probe estimates it.
TEST(WeightRule, SureOfOneProbeIsNearTheExactOne) {
  const int64_t d = 400;
  const Tensor y = normal({1, d}, 5) + at::linspace(0, 20, d, at::kDouble);
  const Problem problem{nullptr, GaussianLikelihood(make_identity({d}), 1), y};
  const TikhonovOptions options{.penalty = TikhonovOptions::Penalty::gradient,
                                .weight = {.rule = WeightRule::sure}};
  const Draws found =
      point_estimate(options, {.threads = 1, .dtype = at::kDouble})->sample(problem, 1, Noise(6), {});
  // Eigenvalues of the differences: 4 sin^2(pi k / (2 d))
  const Tensor eigen = 4 * (at::arange(d, at::kDouble) * (M_PI / (2 * d))).sin().square();
  for (const WeightTrial& t : found.run.point->trials[0]) {
    const Tensor gain = 1 / (1 + t.weight * eigen);
    const double exact = t.residual2 / d - 1 + 2 * gain.sum().item<double>() / d;
    // n^T H n has the variance 2 tr H^2: five standard errors
    const double error = 5 * 2 * std::sqrt(2 * gain.square().sum().item<double>()) / d;
    EXPECT_NEAR(t.score, exact, error + 1e-6) << t.weight;
  }
}

TEST(WeightRule, LCurveTurnsMostAtItsWeight) {
  Diagonal d;
  d.truth = at::ones({40}, at::kDouble);
  d.noise_std = 1e-3;
  d.a = at::logspace(0, -6, 40, 10.0, at::kDouble);
  d.y = d.a * d.truth + d.noise_std * normal({40}, 7);
  const double w = chosen(WeightRule::l_curve, d.problem());
  double corner = 0, most = -INFINITY;
  for (double t = -25; t < 2; t += 0.02) {
    const double c = d.curvature(std::exp(t));
    if (c <= most) continue;
    most = c;
    corner = std::exp(t);
  }
  // The grid's points are a factor of 2 apart before it is made finer.
  EXPECT_LT(std::abs(std::log(w / corner)), std::log(4.0));
}

}  // namespace
}  // namespace tweedie
