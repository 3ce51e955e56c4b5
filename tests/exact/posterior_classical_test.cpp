// Methods that give one answer, against the closed forms that they have for Gaussian priors, orthonormal
// operators and signals of two levels.
#include "tweedie/classical.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/operators.h"
#include "tweedie/regularised.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const DrawOptions in_double{.threads = 1, .dtype = at::kDouble};

// x ~ N(m, S), y = A x + noise_std n
struct Scene {
  int64_t d = 6, k = 4;
  Tensor mean = normal({6}, 1), covariance = random_covariance(6, 2), a = normal({4, 6}, 3);
  double noise_std = 0.3;
  Tensor y = normal({3, 4}, 4);  // three cases

  std::shared_ptr<const GaussianPrior> prior() const {
    return std::make_shared<const GaussianPrior>(GaussianPrior::full(mean, covariance));
  }
  LinearOperatorPtr forward() const { return make_matrix({d}, a); }
  Problem problem() const { return {prior(), GaussianLikelihood(forward(), noise_std), y}; }

  // argmin ||A x - y||^2 / s^2 + (x - m)^T P (x - m), for each case
  Tensor mode(const Tensor& precision) const {
    const Tensor h = at::matmul(a.t(), a) / (noise_std * noise_std) + precision;
    const Tensor b = at::matmul(y, a) / (noise_std * noise_std) + at::matmul(precision, mean);
    return at::linalg_solve(h, b.t()).t();
  }
  Tensor posterior_mode(double level) const {
    return mode(at::linalg_inv(covariance + level * level * at::eye(d, at::kDouble)));
  }
};

template <class Options>
Draws answer(const Options& options, const Problem& problem) {
  return point_estimate(options, in_double)->sample(problem, 1, Noise(7), {});
}
Draws wiener(const Problem& problem, const WienerOptions& options = {}, const Tensor& data = {}) {
  return point_estimate(options, data, in_double)->sample(problem, 1, Noise(7), {});
}

TEST(Wiener, IsThePosteriorMeanOfAGaussian) {
  const Scene s;
  const Draws found = wiener(s.problem());
  EXPECT_LT(max_difference(found.x[0], s.posterior_mode(0)), 1e-10);
  ASSERT_TRUE(found.std);
  const Tensor precision =
      at::matmul(s.a.t(), s.a) / (s.noise_std * s.noise_std) + at::linalg_inv(s.covariance);
  EXPECT_LT(max_difference(*found.std, at::linalg_inv(precision).diagonal().sqrt().expand({3, 6})), 1e-10);
  EXPECT_GT(max_difference(found.x[0], s.posterior_mode(0.5)), 1e-2);  // of another prior
}

TEST(Wiener, TakesTheMomentsOfAnyAnalyticPrior) {
  const Scene s;
  const Tensor weights = at::tensor({0.3, 0.7}, at::kDouble), means = 2 * normal({2, 6}, 5);
  const Tensor within = at::stack({random_covariance(6, 6), random_covariance(6, 7)});
  Problem problem = s.problem();
  problem.prior = std::make_shared<const MixturePrior>(MixturePrior::full(weights, means, within));
  const Tensor mean = at::matmul(weights, means), centred = means - mean;
  const Tensor covariance =
      (weights.view({2, 1, 1}) * (within + centred.unsqueeze(2) * centred.unsqueeze(1))).sum(0);
  Scene gaussian = s;
  gaussian.mean = mean;
  gaussian.covariance = covariance;
  const Draws found = wiener(problem);
  EXPECT_LT(max_difference(found.x[0], gaussian.posterior_mode(0)), 1e-6);
  EXPECT_FALSE(found.std);  // the linear estimate is not the posterior mean
}

TEST(Wiener, TakesTheMomentsOfData) {
  const Scene s;
  Problem problem = s.problem();
  problem.prior = nullptr;
  const Tensor data = normal({40, 6}, 8);
  Scene gaussian = s;
  gaussian.mean = data.mean(0);
  const Tensor centred = data - gaussian.mean;
  gaussian.covariance = at::matmul(centred.t(), centred) / 40;
  EXPECT_LT(max_difference(wiener(problem, {}, data).x[0], gaussian.posterior_mode(0)), 1e-8);
  expect_error([&] { wiener(problem); }, {"method.data", "analytic"});
  expect_error([&] { wiener(problem, {}, normal({40, 5}, 8)); }, {"method.data", "(40, 5)"});
}

// Under a circular blur both covariances are diagonal in the same waves.
TEST(Wiener, StationaryCovarianceIsTheFilterOfTheTransform) {
  const Shape image{1, 8, 8};
  const Tensor data = normal({30, 1, 8, 8}, 9), kernel = gaussian_kernel(1, 2);
  const auto forward = make_blur(image, kernel);
  const Tensor y = normal({2, 1, 8, 8}, 10), mean = data.mean(0, true);
  const Problem problem{nullptr, GaussianLikelihood(forward, 0.2), y};
  const Draws found = wiener(problem, {.covariance = WienerOptions::Covariance::stationary}, data);
  Tensor delta = at::zeros({1, 1, 8, 8}, at::kDouble);
  delta[0][0][0][0] = 1;
  const Tensor k = at::fft_fft2(forward->apply(delta));
  const Tensor power = at::fft_fft2(data - mean).abs().square().mean(0, true) / 64;
  const Tensor gain = power * k.conj() / (power * k.abs().square() + 0.04);
  const Tensor exact = mean + at::real(at::fft_ifft2(gain * at::fft_fft2(y - forward->apply(mean))));
  EXPECT_LT(max_difference(found.x[0], exact), 1e-6);
}

TEST(Tikhonov, SolvesItsNormalEquations) {
  const Scene s;
  Problem problem = s.problem();
  problem.prior = nullptr;
  const Tensor eye = at::eye(6, at::kDouble);
  const Tensor exact = at::linalg_solve(at::matmul(s.a.t(), s.a) + 0.7 * eye, at::matmul(s.y, s.a).t()).t();
  const Draws found = answer(TikhonovOptions{.weight = {.weight = 0.7}}, problem);
  EXPECT_LT(max_difference(found.x[0], exact), 1e-9);
  EXPECT_EQ(found.run.point->weight[0].item<double>(), 0.7);
  Tensor d = at::zeros({5, 6}, at::kDouble);
  for (int64_t i = 0; i < 5; ++i) {
    d[i][i] = -1;
    d[i][i + 1] = 1;
  }
  const Tensor smooth =
      at::linalg_solve(at::matmul(s.a.t(), s.a) + 0.7 * at::matmul(d.t(), d), at::matmul(s.y, s.a).t()).t();
  const TikhonovOptions gradient{.penalty = TikhonovOptions::Penalty::gradient, .weight = {.weight = 0.7}};
  EXPECT_LT(max_difference(answer(gradient, problem).x[0], smooth), 1e-8);
  EXPECT_GT(max_difference(smooth, exact), 1e-2);
}

TEST(TotalVariation, FistaAndAdmmAgree) {
  const Shape image{1, 12, 12};
  const auto forward = make_blur(image, gaussian_kernel(0.8, 2));
  const Tensor y = normal({2, 1, 12, 12}, 11);
  const Problem problem{nullptr, GaussianLikelihood(forward, 0.1), y};
  const TvOptions exactly{.iterations = 20000, .tolerance = 1e-10, .inner = 30};
  const Draws fista = answer(FistaTvOptions{.tv = exactly, .weight = {.weight = 0.2}}, problem);
  const Draws admm = answer(AdmmTvOptions{.rho = 0.3, .tv = exactly, .weight = {.weight = 0.2}}, problem);
  EXPECT_TRUE(fista.run.point->converged.all().item<bool>());
  EXPECT_LT(max_difference(fista.x, admm.x), 1e-5);
  EXPECT_LT(max_difference(fista.run.point->objective, admm.run.point->objective), 1e-6);
  const Draws other = answer(FistaTvOptions{.tv = exactly, .weight = {.weight = 0.25}}, problem);
  EXPECT_GT(max_difference(other.x, admm.x), 1e-2);
}

// Seen directly, a step's levels move inwards by w / a and w / b.
TEST(TotalVariation, RestoresAStepAsTheClosedFormSays) {
  Tensor y = at::zeros({1, 9}, at::kDouble);
  y.slice(1, 4).fill_(2);
  const Problem problem{nullptr, GaussianLikelihood(make_identity({9}), 0.1), y};
  Tensor exact = at::full({1, 9}, 0.5 / 4, at::kDouble);
  exact.slice(1, 4).fill_(2 - 0.5 / 5);
  const TvOptions exactly{.iterations = 2000, .tolerance = 1e-10, .inner = 50};
  EXPECT_LT(
      max_difference(answer(FistaTvOptions{.tv = exactly, .weight = {.weight = 0.5}}, problem).x[0], exact),
      1e-6);
}

TEST(TotalVariation, OneCaseDoesNotDependOnTheOthers) {
  const Tensor y = normal({3, 1, 8, 8}, 12);
  const GaussianLikelihood likelihood(make_blur({1, 8, 8}, gaussian_kernel(1, 2)), 0.1);
  const FistaTvOptions options{.weight = {.weight = 0.1}};
  const Draws all = point_estimate(options, {.threads = 3, .dtype = at::kFloat})
                        ->sample({nullptr, likelihood, y}, 1, Noise(1), {});
  const Draws one = point_estimate(options, {.threads = 1, .dtype = at::kFloat})
                        ->sample({nullptr, likelihood, y.slice(0, 1, 2)}, 1, Noise(1), {});
  EXPECT_TRUE(at::equal(all.x[0][1], one.x[0][0]));
}

// Seen directly through an orthonormal transform, the answer is a soft threshold of the details.
TEST(WaveletL1, IsASoftThresholdOfWhatIsSeenDirectly) {
  const Tensor y = normal({1, 1, 4, 4}, 13);
  const Problem problem{nullptr, GaussianLikelihood(make_identity({1, 4, 4}), 0.1), y};
  const Draws found = answer(
      WaveletL1Options{.wavelet = Wavelet::haar, .levels = 1, .tolerance = 1e-12, .weight = {.weight = 0.3}},
      problem);
  Tensor exact = at::empty_like(y);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 2; ++j) {
      const auto at = [&](int64_t p, int64_t q) { return y[0][0][2 * i + p][2 * j + q].item<double>(); };
      const auto soft = [](double c) { return std::copysign(std::max(std::abs(c) - 0.3, 0.0), c); };
      const double ll = (at(0, 0) + at(0, 1) + at(1, 0) + at(1, 1)) / 2;
      const double lh = soft((at(0, 0) - at(0, 1) + at(1, 0) - at(1, 1)) / 2);
      const double hl = soft((at(0, 0) + at(0, 1) - at(1, 0) - at(1, 1)) / 2);
      const double hh = soft((at(0, 0) - at(0, 1) - at(1, 0) + at(1, 1)) / 2);
      exact[0][0][2 * i][2 * j] = (ll + lh + hl + hh) / 2;
      exact[0][0][2 * i][2 * j + 1] = (ll - lh + hl - hh) / 2;
      exact[0][0][2 * i + 1][2 * j] = (ll + lh - hl - hh) / 2;
      exact[0][0][2 * i + 1][2 * j + 1] = (ll - lh - hl + hh) / 2;
    }
  }
  EXPECT_LT(max_difference(found.x[0], exact), 1e-12);
}

TEST(RichardsonLucy, RaisesTheLikelihoodAndStaysPositive) {
  const Shape image{1, 8, 8};
  const auto forward = make_blur(image, gaussian_kernel(1, 2));
  Noise noise(14);
  const Tensor truth = 20 * noise.uniform({1, 1, 8, 8}, at::kDouble);
  const Tensor y = (forward->apply(truth) + 3).round();
  const Problem problem{nullptr, GaussianLikelihood(forward, 1), y};
  double last = INFINITY;
  for (int64_t k = 1; k <= 40; ++k) {
    const Draws found = answer(RichardsonLucyOptions{.iterations = k, .background = 3}, problem);
    const double objective = found.run.point->objective[0].item<double>();
    EXPECT_LE(objective, last + 1e-9);
    EXPECT_GE(found.x.min().item<double>(), 0);
    last = objective;
  }
  // Without background all counts are accounted for: sum (A^T 1) x = sum y, and A^T 1 = 1 here.
  const Draws found = answer(RichardsonLucyOptions{.iterations = 5}, problem);
  EXPECT_NEAR(found.x.sum().item<double>(), y.sum().item<double>(), 1e-8);
  const Draws other = answer(RichardsonLucyOptions{.iterations = 5, .background = 3}, problem);
  EXPECT_GT(std::abs(other.x.sum().item<double>() - y.sum().item<double>()), 1);
}

TEST(RichardsonLucy, RefusesWhatIsNoCount) {
  const Problem negative{nullptr, GaussianLikelihood(make_identity({3}), 1),
                         at::tensor({1.0, -2.0, 3.0}, at::kDouble).unsqueeze(0)};
  expect_error([&] { answer(RichardsonLucyOptions{}, negative); }, {"measurement.y", "-2", "counts"});
  const Problem minus{nullptr, GaussianLikelihood(make_matrix({2}, -at::eye(2, at::kDouble)), 1),
                      at::ones({1, 2}, at::kDouble)};
  expect_error([&] { answer(RichardsonLucyOptions{}, minus); }, {"richardson-lucy", "not negative"});
}

// The denoiser of a Gaussian is the proximal map of its negative log density, at any level.
TEST(PlugAndPlay, AdmmEndsAtThePosteriorsModeAtAnyLevel) {
  const Scene s;
  for (const double level : {0.2, 0.5, 1.5}) {
    const PnpOptions options{.level = level, .iterations = 20000, .tolerance = 1e-11};
    EXPECT_LT(max_difference(answer(options, s.problem()).x[0], s.posterior_mode(0)), 1e-6) << level;
  }
  const PnpOptions falling{.level = 0.5, .start = 3, .iterations = 4000, .tolerance = 1e-11};
  EXPECT_LT(max_difference(answer(falling, s.problem()).x[0], s.posterior_mode(0)), 1e-6);
}

TEST(PlugAndPlay, HqsEndsAtTheModeOfAWiderPrior) {
  const Scene s;
  const PnpOptions options{
      .splitting = PnpOptions::Splitting::hqs, .level = 0.5, .iterations = 4000, .tolerance = 1e-12};
  const Draws found = answer(options, s.problem());
  EXPECT_LT(max_difference(found.x[0], s.posterior_mode(0.5)), 1e-8);
  EXPECT_GT(max_difference(found.x[0], s.posterior_mode(0)), 1e-2);
}

// weight (x - D(x)) = weight level^2 (S + level^2 I)^{-1} (x - m)
TEST(Red, EndsWhereItsEquationSays) {
  const Scene s;
  for (const auto& [level, weight] :
       {std::pair{0.5, std::optional<double>()}, std::pair{0.3, std::optional(2.0)}}) {
    const RedOptions options{.level = level, .weight = weight, .iterations = 4000, .tolerance = 1e-12};
    const Tensor precision = weight.value_or(1 / (level * level)) * level * level *
                             at::linalg_inv(s.covariance + level * level * at::eye(6, at::kDouble));
    const Draws found = answer(options, s.problem());
    EXPECT_LT(max_difference(found.x[0], s.mode(precision)), 1e-8);
    EXPECT_GT(max_difference(found.x[0], s.mode(3 * precision)), 1e-2);
  }
}

TEST(Map, ReachesThePosteriorsMode) {
  const Scene s;
  for (const bool momentum : {true, false}) {
    const MapOptions options{
        .level = 0.3, .start = 1, .iterations = momentum ? 1000 : 6000, .momentum = momentum};
    const Draws found = answer(options, s.problem());
    EXPECT_LT(max_difference(found.x[0], s.posterior_mode(0.3)), 1e-6) << momentum;
    EXPECT_GT(max_difference(found.x[0], s.posterior_mode(0.6)), 1e-3);
  }
}

// A prior on a line, as in the book's example 7.2: least squares along it. mu grows, so that the last rounds
// move x little along the line.
TEST(AugmentedLagrangian, IsLeastSquaresOnTheSupport) {
  const Tensor direction = normal({6, 1}, 15) / normal({6, 1}, 15).norm();
  Scene s;
  Problem problem = s.problem();
  problem.prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::low_rank(at::zeros({6}, at::kDouble), direction, at::tensor({1e6}, at::kDouble), 0));
  const Tensor a = at::matmul(s.a, direction).flatten();
  const Tensor exact = at::outer(at::matmul(s.y, a) / a.square().sum(), direction.flatten());
  const AugmentedLagrangianOptions options{.level = 0.01, .start = 0.5, .rounds = 60, .inner = 20};
  const Draws found = answer(options, problem);
  EXPECT_LT(max_difference(found.x[0], exact), 5e-3);
  EXPECT_GT(max_difference(answer(TikhonovOptions{.weight = {.weight = 1e-3}}, problem).x[0], exact), 0.1);
}

TEST(DeepImagePrior, StopsWhereTheResidualIsThatOfTheNoise) {
  const Shape image{1, 16, 16};
  const Tensor ramp = at::linspace(0, 1, 16, at::kDouble);
  const Tensor truth = at::outer(ramp, ramp).view({1, 1, 16, 16}),
               y = truth + 0.1 * normal({1, 1, 16, 16}, 16);
  const Problem problem{nullptr, GaussianLikelihood(make_identity(image), 0.1), y};
  const DeepImagePriorOptions options{.iterations = 400, .channels = 8, .multipliers = {1, 2}};
  const Draws found = answer(options, problem), again = answer(options, problem);
  EXPECT_TRUE(at::equal(found.x, again.x));
  ASSERT_TRUE(found.run.point->converged.all().item<bool>());
  const double mismatch = (found.x[0] - y).square().mean().item<double>() / 0.01;
  EXPECT_LE(mismatch, 1);
  EXPECT_GT(mismatch, 0.8);  // and not much further
  // It is nearer to the truth than what it was fitted to.
  EXPECT_LT((found.x[0] - truth).square().mean().item<double>(),
            0.7 * (y - truth).square().mean().item<double>());
}

TEST(PointEstimates, RefuseWhatTheyCannotDo) {
  const Scene s;
  expect_error([&] { point_estimate(MapOptions{}, in_double)->sample(s.problem(), 2, Noise(0), {}); },
               {"method.draws", "2", "one answer"});
  Problem without = s.problem();
  without.prior = nullptr;
  expect_error([&] { answer(PnpOptions{}, without); }, {"prior", "pnp"});
  expect_error([&] { answer(TikhonovOptions{.weight = {.weight = 0}}, without); },
               {"method.weight", "above 0"});
  expect_error([&] { answer(MapOptions{.level = 1, .start = 0.5}, s.problem()); }, {"method.start", "0.5"});
  without.likelihood = GaussianLikelihood(s.forward(), 0);
  expect_error([&] { answer(TikhonovOptions{}, without); }, {"measurement.noise.std", "l-curve"});
}

}  // namespace
}  // namespace tweedie
