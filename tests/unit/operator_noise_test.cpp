// Each noise model: its density sums to 1, its simulator draws from it, its residuals are normal, its
// derivative is one.
#include "core/special.h"
#include "tweedie/noise_model.h"
#include "tweedie/noise_options.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

Tensor column(double value, int64_t rows) {
  return at::full({rows, 1}, value, at::kDouble);
}

// A law of one y given z, on the points y (n) that it can take, with the weight of each (1, or dy)
struct Law {
  Tensor y, probability;

  static Law of_counts(const NoiseModel& noise, double z, int64_t largest, double unit = 1) {
    const Tensor y = at::arange(largest + 1, at::kDouble) * unit;
    return {y, noise.log_prob(y.unsqueeze(1), column(z, largest + 1)).exp()};
  }
  // On y = centre + scale sinh(t), fine in the middle and far in the tails, by the trapezoidal rule
  static Law of_density(const NoiseModel& noise, double z, double centre, double scale) {
    constexpr int64_t n = 40001;
    const Tensor t = at::linspace(-13, 13, n, at::kDouble), y = centre + scale * t.sinh();
    const Tensor dy = scale * t.cosh() * (26.0 / (n - 1));
    return {y, noise.log_prob(y.unsqueeze(1), column(z, n)).exp() * dy};
  }
  double total() const { return probability.sum().item<double>(); }

  // p-value of simulated y (n): Kolmogorov's distance for a density, Pearson's chi2 for counts
  double of_draws(const Tensor& draws, bool counts) const {
    const auto n = static_cast<double>(draws.numel());
    if (!counts) {
      const Tensor sorted = std::get<0>(draws.sort());
      const Tensor cdf = at::cumsum(probability, 0) - 0.5 * probability;
      const Tensor above = at::searchsorted(y, sorted).clamp(1, y.numel() - 1), below = above - 1;
      const Tensor share =
          (sorted - y.index_select(0, below)) / (y.index_select(0, above) - y.index_select(0, below));
      const Tensor f = cdf.index_select(0, below) * (1 - share) + cdf.index_select(0, above) * share;
      const Tensor rank = at::arange(draws.numel(), at::kDouble);
      const double d =
          std::max((f - rank / n).max().item<double>(), ((rank + 1) / n - f).max().item<double>());
      return kolmogorov_p_value(d, n);
    }
    double chi2 = 0, cells = 0, pooled = 0, pooled_count = 0;
    for (int64_t i = 0; i < y.numel(); ++i) {
      pooled += probability[i].item<double>() * n;
      pooled_count += (draws - y[i]).abs().lt(1e-9).sum().item<double>();
      if (pooled < 10) continue;
      chi2 += std::pow(pooled_count - pooled, 2) / pooled;
      pooled = pooled_count = 0;
      ++cells;
    }
    return chi2_tail(chi2, cells - 1);
  }
};

struct Case {
  const char* name;
  NoiseModelPtr noise, wrong;  // wrong: what its simulator must not be taken for
  double z;
  bool counts = false;
  double centre = 0, scale = 1;  // of the grid of a density
  double unit = 1;               // between counts
};

Counting counting(double gain, double background, bool scaled = false) {
  return {gain, at::scalar_tensor(background, at::kDouble), scaled};
}

std::vector<Case> cases() {
  const Tensor per_pixel = at::tensor({0.4}, at::kDouble);
  return {
      {"Gaussian", make_gaussian_noise(0.4), make_gaussian_noise(0.46), 0.7, false, 0.7, 0.4},
      {"GaussianPerEntry", make_gaussian_noise(per_pixel), make_gaussian_noise(0.46), 0.7, false, 0.7, 0.4},
      {"Poisson", make_poisson_noise(counting(2, 0.5)), make_poisson_noise(counting(2, 0.7)), 0.6, true},
      // A Poisson law of the same mean, which is 1 / gain times as wide when it is taken for unscaled counts
      {"PoissonScaled", make_poisson_noise(counting(4, 0, true)), make_poisson_noise(counting(4, 0.4, true)),
       0.6, true, 0, 1, 0.25},
      {"PoissonLarge", make_poisson_noise(counting(300, 0)), make_poisson_noise(counting(305, 0)), 1, true},
      // Wrong: as if it were Gaussian, of the same mean and variance
      {"PoissonGaussian", make_poisson_gaussian_noise(counting(2, 0.5), 0.3),
       make_poisson_gaussian_noise(counting(2, 0.5), 0.3, true), 0.6, false, 2, 0.5},
      {"PoissonGaussianWide", make_poisson_gaussian_noise(counting(2, 0.5), 0.7),
       make_poisson_gaussian_noise(counting(2, 0.5), 0.7, true), 0.1, false, 1, 1},
      {"PoissonGaussianScaled", make_poisson_gaussian_noise(counting(5, 0, true), 0.6),
       make_poisson_gaussian_noise(counting(5, 0, true), 1.5), 1, false, 1, 0.2},
      {"PoissonGaussianApproximate", make_poisson_gaussian_noise(counting(2, 0.5), 0.3, true),
       make_poisson_gaussian_noise(counting(2, 0.5), 0.3), 0.6, false, 2, 1},
      {"Laplace", make_laplace_noise(0.5), make_gaussian_noise(0.5 * std::sqrt(2)), 0.3, false, 0.3, 0.5},
      {"Student", make_student_noise(3, 0.5), make_student_noise(3, 0.6), 0.3, false, 0.3, 0.5},
      {"StudentCauchy", make_student_noise(1.5, 0.5), make_student_noise(3, 0.5), 0.3, false, 0.3, 0.5},
      {"Logit", make_bernoulli_noise({Link::logit, 0.5, 0.2}), make_bernoulli_noise({Link::probit, 0.5, 0.2}),
       0.6, true},
      {"Probit", make_bernoulli_noise({Link::probit, 0.5, 0.2}),
       make_bernoulli_noise({Link::logit, 0.5, 0.2}), 0.6, true},
  };
}

Law law_of(const Case& c, const NoiseModel& noise) {
  const bool bits = std::string(noise.kind()) == "bernoulli";
  return c.counts ? Law::of_counts(noise, c.z, bits ? 1 : 1000, c.unit)
                  : Law::of_density(noise, c.z, c.centre, c.scale);
}

class EveryNoise : public testing::TestWithParam<Case> {};

// The trapezoidal rule converges exponentially in t but for the kink of Laplace's density and for tails cut
// at |y| = scale e^13 / 2, beyond which Student's with 1.5 degrees has 1e-8.
TEST_P(EveryNoise, SumsToOne) {
  EXPECT_NEAR(law_of(GetParam(), *GetParam().noise).total(), 1, 1e-7);
}

TEST_P(EveryNoise, SimulatesItsDensity) {
  const Case& c = GetParam();
  constexpr int64_t draws = 10'000;
  Noise noise(7), same(7);
  const Tensor z = column(c.z, draws), y = c.noise->simulate(z, noise);
  EXPECT_GT(law_of(c, *c.noise).of_draws(y.flatten(), c.counts), 1e-3);
  EXPECT_LT(law_of(c, *c.wrong).of_draws(y.flatten(), c.counts), 1e-6);
  // A draw is its row's own.
  EXPECT_TRUE(at::equal(c.noise->simulate(z.slice(0, 0, 3), same), y.slice(0, 0, 3)));
  EXPECT_NO_THROW(c.noise->require_possible(y, "y"));
  EXPECT_NO_THROW(c.noise->require_possible(y.to(at::kFloat), "y"));
}

TEST_P(EveryNoise, ResidualsAreNormalAtTheTruthOnly) {
  const Case& c = GetParam();
  constexpr int64_t draws = 20'000;
  Noise noise(8), spread(9);
  const Tensor z = column(c.z, draws), y = c.noise->simulate(z, noise);
  const auto p_value = [&](const NoiseModel& model, double at) {
    Noise own = spread;
    const Tensor r = std::get<0>(model.residuals(y, column(at, draws), own).flatten().sort());
    double distance = 0;
    for (int64_t i = 0; i < draws; ++i) {
      const double f = normal_cdf(r[i].item<double>());
      distance =
          std::max({distance, f - static_cast<double>(i) / draws, static_cast<double>(i + 1) / draws - f});
    }
    return kolmogorov_p_value(distance, draws);
  };
  EXPECT_GT(p_value(*c.noise, c.z), 1e-3);
  EXPECT_LT(p_value(*c.noise, 1.3 * c.z), 1e-6);
}

TEST_P(EveryNoise, SlopeIsItsDerivative) {
  const Case& c = GetParam();
  Noise noise(10);
  const Tensor y = c.noise->simulate(column(c.z, 40), noise),
               z = at::linspace(-0.51, 2.3, 40, at::kDouble).view({40, 1});
  constexpr double h = 1e-5;
  const LogDensitySlope at_z = c.noise->slope(y, z);
  const Tensor difference = (c.noise->slope(y, z + h).value - c.noise->slope(y, z - h).value) / (2 * h);
  const Tensor smooth = (difference - at_z.derivative).abs() < 1e-5 * (1 + at_z.derivative.abs());
  // but for points within h of Laplace's kink or of the end of a tangent
  EXPECT_GE(smooth.sum().item<int64_t>(), 38);
  EXPECT_TRUE(at_z.value.isfinite().all().item<bool>());
  EXPECT_TRUE(at_z.information.gt(0).all().item<bool>());
  const Tensor exact = c.noise->log_prob(y, z), value = at_z.value.flatten();
  const Tensor same = (exact - value).abs() < 1e-10 * (1 + exact.abs());
  EXPECT_GT(same.sum().item<int64_t>(), 20);
  // Poisson: the tangent of a concave function is above it.
  if (std::string(c.noise->kind()) == "poisson")
    EXPECT_TRUE(same.logical_or(exact < value).all().item<bool>());
}

INSTANTIATE_TEST_SUITE_P(All, EveryNoise, testing::ValuesIn(cases()),
                         [](const auto& info) { return info.param.name; });

TEST(PoissonNoise, CountsOfNoRateAreImpossible) {
  const auto noise = make_poisson_noise({.gain = 2, .background = {}, .scaled = false});
  const Tensor y = at::tensor({0.0, 0.0, 1.0, -1.0, 1.5}, at::kDouble).view({5, 1});
  const Tensor z = at::tensor({-1.0, 0.0, 0.0, 1.0, 1.0}, at::kDouble).view({5, 1});
  const Tensor log_prob = noise->log_prob(y, z);
  EXPECT_EQ(log_prob[0].item<double>(), 0);
  EXPECT_EQ(log_prob[1].item<double>(), 0);
  for (int64_t i : {2, 3, 4}) EXPECT_EQ(log_prob[i].item<double>(), -INFINITY) << i;
  // Where counts are impossible the slope points to where they are not.
  EXPECT_GT(noise->slope(y.slice(0, 2, 3), column(-5, 1)).derivative.item<double>(), 1);
  EXPECT_EQ(noise->slope(y.slice(0, 0, 1), column(-5, 1)).derivative.item<double>(), 0);
}

TEST(PoissonGaussianNoise, BecomesPoissonAndGaussian) {
  // With little reading noise it is the Poisson mass over a narrow Gaussian, at large rates the
  // approximation.
  const double std = 0.01;
  const auto narrow = make_poisson_gaussian_noise(counting(1, 0), std);
  const double mass = 3 * std::log(2.5) - 2.5 - std::log(6.0);
  EXPECT_NEAR(narrow->log_prob(column(3, 1), column(2.5, 1)).item<double>(),
              mass - std::log(std) - 0.5 * std::log(2 * M_PI), 1e-12);
  const auto exact = make_poisson_gaussian_noise(counting(1, 0), 50),
             approximate = make_poisson_gaussian_noise(counting(1, 0), 50, true);
  for (const double y : {1e6, 1e6 + 2000, 1e6 - 3000}) {
    EXPECT_NEAR(exact->log_prob(column(y, 1), column(1e6, 1)).item<double>(),
                approximate->log_prob(column(y, 1), column(1e6, 1)).item<double>(), 0.02);
  }
}

TEST(CorrelatedNoise, IsTheDenseFormula) {
  const Tensor covariance = random_covariance(4, 1), y = normal({3, 2, 2}, 2), z = normal({3, 2, 2}, 3);
  const auto noise = make_correlated_noise(covariance, {2, 2});
  const Tensor r = (y - z).flatten(1), solved = at::linalg_solve(covariance, r.t()).t();
  const Tensor dense = -0.5 * (r * solved).sum(1) - 0.5 * at::logdet(covariance) - 2 * std::log(2 * M_PI);
  EXPECT_LT(max_difference(noise->log_prob(y, z), dense), 1e-12);
  EXPECT_LT(max_difference(noise->slope(y, z).derivative.flatten(1), solved), 1e-12);
  EXPECT_LT(max_difference(noise->slope(y, z).value.flatten(1).sum(1), dense), 1e-12);
  // 20,000 draws: each second moment within 5 standard errors
  Noise draw(4), none(0);
  const Tensor n = noise->simulate(at::zeros({20'000, 2, 2}, at::kDouble), draw).flatten(1);
  const Tensor error =
      5 * ((at::outer(covariance.diagonal(), covariance.diagonal()) + covariance.square()) / 20'000).sqrt();
  EXPECT_TRUE(((n.t().mm(n) / 20'000 - covariance).abs() < error).all().item<bool>());
  EXPECT_FALSE(((n.t().mm(n) / 20'000 - covariance.diagonal().diag()).abs() < error).all().item<bool>());
  const Tensor white =
      noise->residuals(n.view({-1, 2, 2}), at::zeros({20'000, 2, 2}, at::kDouble), none).flatten(1);
  EXPECT_LT(max_difference(white.t().mm(white) / 20'000, at::eye(4, at::kDouble)),
            5 * std::sqrt(2.0 / 20'000));
}

TEST(Noise, RefusesBadOptionsAndImpossibleData) {
  const auto poisson = make_poisson_noise(counting(2, 0, true));
  expect_error([&] { poisson->require_possible(column(-3, 1), "y.npy"); }, {"y.npy", "-3", "counts", ">= 0"});
  expect_error([&] { poisson->require_possible(column(0.3, 1), "y.npy"); }, {"0.3", "gain 2", "whole"});
  EXPECT_NO_THROW(poisson->require_possible(column(0.5, 1), "y.npy"));
  expect_error([&] { make_bernoulli_noise({})->require_possible(column(-1, 1), "y"); }, {"-1", "0 and 1"});
  expect_error([] { make_gaussian_noise(at::tensor({1.0, 0.0})); }, {"noise.std", "0", "above 0"});
  expect_error([] { make_correlated_noise(at::eye(3), {2}); }, {"noise.covariance", "(3, 3)", "(2, 2)"});
  expect_error(
      [] {
        make_correlated_noise(at::tensor({1.0, 2.0, 2.0, 1.0}).view({2, 2}), {2});
      },
      {"positive definite", "-1"});
  expect_error(
      [] {
        make_correlated_noise(at::tensor({1.0, 0.5, 0.2, 1.0}).view({2, 2}), {2});
      },
      {"symmetric"});
  expect_error([] { make_poisson_noise(counting(0, 0)); }, {"noise.gain", "above 0"});
  expect_error([] { make_poisson_noise(counting(1, -1)); }, {"noise.background", "-1"});
  expect_error([] { make_poisson_gaussian_noise(counting(1, 0), 0); }, {"noise.std"});
  expect_error([] { make_laplace_noise(-1); }, {"noise.scale", "-1"});
  expect_error([] { make_student_noise(0, 1); }, {"noise.freedom"});
}

TEST(NoiseOptions, FilesAreOfTheShapeOfY) {
  const auto read = [](const std::filesystem::path& path) -> Tensor {
    if (path == "std") return at::full({2, 3}, 0.5, at::kDouble);
    return path == "zero" ? at::zeros({2, 3}, at::kDouble) : at::eye(6, at::kDouble) * 0.25;
  };
  const Tensor y = normal({4, 2, 3}, 1), z = normal({4, 2, 3}, 2);
  const auto stated = make_noise(GaussianNoiseOptions{.std = 0.5}, {2, 3}, read);
  const auto by_file = make_noise(GaussianNoiseOptions{.std_file = "std"}, {2, 3}, read);
  const auto by_covariance = make_noise(GaussianNoiseOptions{.covariance = "covariance"}, {2, 3}, read);
  EXPECT_LT(max_difference(by_file->log_prob(y, z), stated->log_prob(y, z)), 1e-12);
  EXPECT_LT(max_difference(by_covariance->log_prob(y, z), stated->log_prob(y, z)), 1e-12);
  // E|w|^2 = std^2 over both parts
  ComplexGaussianNoiseOptions complex;
  complex.std = 0.5;
  EXPECT_DOUBLE_EQ(make_noise(complex, {3, 2}, read)->noise_std().value(), 0.5 / std::sqrt(2));
  complex.std_file = "std";
  const Tensor w = normal({4, 2, 3, 2}, 3);
  EXPECT_LT(max_difference(make_noise(complex, {2, 3, 2}, read)->log_prob(w, at::zeros_like(w)),
                           make_gaussian_noise(0.5 / std::sqrt(2))->log_prob(w, at::zeros_like(w))),
            1e-12);
  expect_error([&] { make_noise(complex, {2, 3}, read); }, {"measurement.noise.kind", "complex", "(2, 3)"});
  expect_error(
      [&] {
        make_noise(GaussianNoiseOptions{.std_file = "std"}, {3, 2}, read);
      },
      {"std", "(2, 3)", "(3, 2)"});
  expect_error(
      [&] {
        make_noise(GaussianNoiseOptions{.std_file = "zero"}, {2, 3}, read);
      },
      {"zero", "above 0"});
  expect_error([&] { make_noise(GaussianNoiseOptions{.covariance = "c"}, {5}, read); },
               {"c: ", "(6, 6)", "(5, 5)"});
  expect_error(
      [&] { make_noise(GaussianNoiseOptions{.estimate = GaussianNoiseOptions::Estimate::gibbs}, {5}, read); },
      {"measurement.noise.estimate", "infer"});
  LaplaceNoiseOptions laplace;
  laplace.scale = 0;
  expect_error([&] { make_noise(laplace, {5}, read); }, {"measurement.noise.scale", "above 0"});
}

}  // namespace
}  // namespace tweedie
