// Calibration of whole methods on a Gaussian problem: those that are exact pass, DPS does not.

#include "tweedie/calibration.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/operators.h"
#include "tweedie/particles.h"

#include "check_tensor.h"

namespace tweedie {
namespace {

using Status = Finding::Status;

constexpr int64_t dimension = 3, cases = 120, draws = 9, bins = 5;

struct Calibrated {
  Finding ranks, coverage, tarp_finding, identity;
};

Calibrated calibrated(const PosteriorSampler& method) {
  const auto prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::full(at::zeros({dimension}, at::kDouble), random_covariance(dimension, 1)));
  const GaussianLikelihood likelihood(make_matrix({dimension}, normal({1, dimension}, 2)), 0.3);
  Noise truths(3), measured(4), of_directions(5), of_ranks(6);
  const Tensor x = prior->sample(cases + 1, truths), own = x.slice(0, 0, cases);
  const Tensor y = likelihood.simulate(own, measured);
  const Draws found = method.sample({prior, likelihood, y}, draws, Noise(7), {});
  const Simulations s{own, y, found.x, {}};
  const RankStatistics statistics = RankStatistics::random(dimension, 2, of_directions);
  const Tensor positions = rank_positions(s, statistics, likelihood, of_ranks);
  return {rank_uniformity(positions, draws, bins, statistics.names()),
          central_coverage(positions, statistics.names()),
          tarp(distance_positions(s, x.slice(0, 1), of_ranks)), draw_against_mean(squared_errors(s))};
}

GuidedSampler guided(const Guidance& guidance) {
  const int64_t steps = 24;
  return {guidance,
          std::make_shared<Heun>(HeunOptions{}, steps),
          make_schedule(Karras{}, steps),
          {.threads = 1, .dtype = at::kDouble}};
}

void expect_pass(const Calibrated& c) {
  for (const Finding& f : {c.ranks, c.coverage, c.tarp_finding, c.identity})
    EXPECT_EQ(f.status, Status::pass) << f.name << ": " << f.message;
}

TEST(Calibration, ExactDrawsPass) {
  expect_pass(calibrated(ExactSampler({.threads = 1, .dtype = at::kDouble})));
}

TEST(Calibration, MmpsPassesOnAGaussian) {
  expect_pass(calibrated(guided(MmpsOptions{})));
}

// As many chains as draws: those of one chain have ancestors in common.
TEST(Calibration, McgdiffAndTdsPass) {
  const NoiseSchedule schedule = make_schedule(Karras{}, 40);
  const DrawOptions draw{.threads = 1, .dtype = at::kDouble};
  const ParticleOptions smc{.particles = 200, .chains = draws};
  for (const auto& method : {posterior_sampler(McgdiffOptions{.smc = smc}, schedule, draw),
                             posterior_sampler(TdsOptions{.smc = smc}, schedule, draw)})
    expect_pass(calibrated(*method));
}

// Without Cov[x_0 | x_sigma] the draws fit y too closely: the likelihood of the truth is below all of theirs.
TEST(Calibration, DpsFails) {
  const Calibrated dps = calibrated(guided(DpsOptions{}));
  EXPECT_EQ(dps.ranks.status, Status::fail) << dps.ranks.message;
  EXPECT_THAT(dps.ranks.message, testing::HasSubstr("log-likelihood"));
  EXPECT_EQ(dps.coverage.status, Status::fail) << dps.coverage.message;
}

}  // namespace
}  // namespace tweedie
