// RePaint and replacement on x ~ N(0, ((1, c), (c, 1))) of which the first coordinate is measured. Both walks
// are affine, so a draw's dependence on y, with the same noise, is the slope of its conditional mean: exact
// E[x | y] has (1, c) / (1 + noise_std^2). The measured part of x_t is drawn without regard to what the
// hidden part holds, so that c comes out too small.
#include "core/shape.h"
#include "tweedie/replacement.h"

#include "posterior_problem.h"

namespace tweedie {
namespace {

constexpr double c = 0.8;

struct Correlated {
  explicit Correlated(LinearOperatorPtr op, double noise_std) : likelihood(std::move(op), noise_std) {}

  template <class Options>
  Tensor draw(const Options& options, double y, int64_t draws) const {
    const Problem problem{prior, likelihood, at::full({1, 1}, y, at::kDouble)};
    const auto method = posterior_sampler(options, schedule, {.dtype = at::kDouble});
    return method->sample(problem, draws, Noise(8), {}).x.reshape({draws, 2});
  }
  // d x / d y of the first draw, (2)
  template <class Options>
  Tensor slope(const Options& options) const {
    return (draw(options, 1, 1) - draw(options, 0, 1))[0];
  }

  std::shared_ptr<const GaussianPrior> prior = std::make_shared<const GaussianPrior>(GaussianPrior::full(
      at::zeros({2}, at::kDouble), at::tensor({1.0, c, c, 1.0}, at::kDouble).view({2, 2})));
  GaussianLikelihood likelihood;
  NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.02, .sigma_max = 50}, 60);
};

LinearOperatorPtr first() {
  return make_mask(at::tensor({1, 0}).to(at::kBool));
}
// D of (k, u), and the ancestral step, for the two slopes
struct Slopes {
  double k = 0, u = 0;

  void denoise_and_keep(double t, double keep) {
    const double v = 1 + t * t, det = v * v - c * c;
    const double diagonal = (v - c * c) / det, beside = c * t * t / det;
    const double dk = diagonal * k + beside * u, du = beside * k + diagonal * u;
    k = dk + keep * (k - dk);
    u = du + keep * (u - du);
  }
  void ancestral(double t, double s) { denoise_and_keep(t, s * s / (t * t)); }
};

Slopes replacement_slopes(const NoiseSchedule& schedule, const ReplacementOptions& o) {
  Slopes x;
  const auto replace = [&] { x.k = o.lambda + (1 - o.lambda) * x.k; };
  for (int64_t i = 0; i < schedule.steps(); ++i) {
    const double t = schedule.sigma[i].item<double>(), s = schedule.sigma[i + 1].item<double>();
    replace();
    x.ancestral(t, s);
    for (int64_t j = 0; s > 0 && j < o.correctors; ++j) {
      replace();
      x.denoise_and_keep(s, 1 - o.corrector_step);
    }
  }
  return x;
}

TEST(Replacement, IsBiasedAsDerived) {
  const Correlated p(first(), 0);
  const auto hidden = [&](const ReplacementOptions& options) { return p.slope(options)[1].item<double>(); };
  for (const ReplacementOptions& options :
       {ReplacementOptions{.correctors = 0}, ReplacementOptions{}, ReplacementOptions{.correctors = 3},
        ReplacementOptions{.correctors = 3, .corrector_step = 0.5}, ReplacementOptions{.lambda = 0.7}}) {
    EXPECT_NEAR(hidden(options), replacement_slopes(p.schedule, options).u, 1e-9);
    EXPECT_LT(hidden(options), 0.97 * c);
  }
  EXPECT_GT(hidden({.correctors = 3, .corrector_step = 0.5}), hidden({.correctors = 0}) + 0.05);
}

// diag(2) of the same coordinate, y and noise twice as large: the same problem through its decomposition
TEST(Replacement, WorksInTheCoordinatesOfTheDecomposition) {
  const Correlated mask(first(), 0);
  const Correlated scaled(make_matrix({2}, at::tensor({2.0, 0.0}, at::kDouble).view({1, 2})), 0);
  const ReplacementOptions options;
  EXPECT_NEAR(2 * scaled.slope(options)[1].item<double>(), mask.slope(options)[1].item<double>(), 1e-9);
  EXPECT_NEAR(2 * scaled.slope(options)[0].item<double>(), 1, 1e-9);
}

TEST(Repaint, IsBiasedLessTheMoreItRepeats) {
  const Correlated p(first(), 0);
  double bias = 1;
  for (const int64_t repeats : {1, 3, 10, 30}) {
    const Tensor slope = p.slope(RepaintOptions{.jump_length = 5, .repeats = repeats});
    EXPECT_NEAR(slope[0].item<double>(), 1, 1e-12);
    const double next = c - slope[1].item<double>();
    EXPECT_GT(next, 0);
    EXPECT_LT(next, 0.8 * bias) << repeats;
    bias = next;
  }
  EXPECT_LT(bias, 0.1 * c);
  // Without jumps it is replacement without correctors.
  EXPECT_NEAR(p.slope(RepaintOptions{.repeats = 1})[1].item<double>(),
              replacement_slopes(p.schedule, {.correctors = 0}).u, 1e-9);
}

// noise_std is the level at which y is x_sigma's measured part; below it the prior goes on alone.
TEST(Repaint, HonoursTheNoise) {
  constexpr double noise_std = 0.5, exact = 1 / (1 + noise_std * noise_std);
  const Correlated p(first(), noise_std);
  const Tensor slope = p.slope(RepaintOptions{.jump_length = 5, .repeats = 30});
  EXPECT_NEAR(slope[0].item<double>(), exact, 0.05);
  EXPECT_NEAR(slope[1].item<double>(), c * exact, 0.08);
  EXPECT_EQ(posterior_sampler(RepaintOptions{}, p.schedule, {})
                ->sample({p.prior, p.likelihood, at::zeros({1, 1}, at::kDouble)}, 1, Noise(1), {})
                .run.steps,
            10 * (p.schedule.sigma > noise_std).sum().item<int64_t>() +
                (p.schedule.sigma < noise_std).sum().item<int64_t>());
  // Variances 1 - 0.8 and 1 - c^2 0.8, with errors of 5% (and a bias of the steps' and of repaint's).
  const Tensor variance = p.draw(RepaintOptions{.jump_length = 5, .repeats = 10}, 1, 320).var(0);
  EXPECT_NEAR(variance[0].item<double>(), 1 - exact, 0.3 * (1 - exact));
  EXPECT_NEAR(variance[1].item<double>(), 1 - c * c * exact, 0.35 * (1 - c * c * exact));
}

TEST(Replacement, KnowsWhatItCanReplace) {
  const auto run = [](const auto& options, const LinearOperatorPtr& a, double noise_std) {
    const auto prior = std::make_shared<const GaussianPrior>(
        GaussianPrior::diagonal(at::zeros(a->domain(), at::kDouble), at::ones(a->domain(), at::kDouble)));
    const Tensor y = at::zeros(with_batch(1, a->codomain()), at::kDouble);
    return [=] {
      posterior_sampler(options, make_schedule(Karras{.sigma_max = 10}, 3), {})
          ->sample({prior, GaussianLikelihood(a, noise_std), y}, 1, Noise(1), {});
    };
  };
  const auto rotation = make_matrix({2}, at::tensor({0.6, 0.8}, at::kDouble).view({1, 2}));
  EXPECT_NO_THROW(run(ReplacementOptions{}, rotation, 0.1)());
  expect_error(run(RepaintOptions{}, rotation, 0.1), {"method.kind", "mask", "replacement"});
  EXPECT_NO_THROW(run(RepaintOptions{}, make_identity({2}), 0.1)());
  expect_error(run(RepaintOptions{}, first(), 10), {"measurement.noise.std", "10"});
  expect_error(run(RepaintOptions{}, scale(first(), 2), 0.1), {"method.kind", "mask"});
}

}  // namespace
}  // namespace tweedie
