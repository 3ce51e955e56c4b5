// DDRM and DDNM+: what their steps promise, and the law that they have on Gaussian priors, which is not the
// posterior.
#include "core/shape.h"
#include "tweedie/ddrm.h"

#include "posterior_problem.h"

#include <numeric>

namespace tweedie {
namespace {

// A denoiser that knows the truth
class Knows final : public Denoiser {
 public:
  explicit Knows(Tensor truth) : truth_(std::move(truth)) {}
  Shape shape() const override { return {d}; }

 protected:
  Tensor do_mean(const Tensor&, const Tensor&) const override { return truth_; }

 private:
  Tensor truth_;
};

// 5 measurements of 16 coordinates with singular values from 0.2 to 5
LinearOperatorPtr uneven() {
  const auto [u, s, vt] = at::linalg_svd(normal({5, d}, 1), false);
  return make_matrix({d}, at::matmul(u * at::tensor({5.0, 2.0, 1.0, 0.5, 0.2}, at::kDouble), vt));
}

// Where D is the truth and x_t of level t, x_s is of level s: the largest z over all coordinates of the mean
// square of (x_s - x_0) / s, over rows that have a y of their own each.
double level_z(const DdrmOptions& options, double noise_std, double wrong, double t, double s) {
  constexpr int64_t n = 4000;
  const auto a = uneven();
  const Tensor truth = 3 * normal({n, d}, 2), y = a->apply(truth) + wrong * noise_std * normal({n, 5}, 3);
  const DdrmStep step(options, svd_of(*a), y, noise_std, y.options());
  Noise noise(4);
  const Tensor x = step.step(Knows(truth), truth + t * normal({n, d}, 5), t, s, noise);
  // In coordinates of V and of its complement alike
  const Tensor basis = std::get<2>(at::linalg_svd(a->dense(), /*full_matrices=*/true)).t();
  const Tensor error = at::matmul((x - truth) / s, basis);
  return ((error.square().mean(0) - 1).abs().max() / std::sqrt(2.0 / n)).item<double>();
}

TEST(DdrmStep, KeepsTheNoiseLevelInEveryCoordinate) {
  // 16 coordinates each: beyond 4.5 with probability 1e-4
  for (const double s : {0.05, 0.4, 1.5}) {
    EXPECT_LT(level_z({}, 0.5, 1, 2, s), 4.5) << s;
    EXPECT_LT(level_z({.eta = 0}, 0.5, 1, 2, s), 4.5) << s;
    EXPECT_LT(level_z({.eta = 1, .eta_b = 0.3}, 0.5, 1, 2, s), 4.5) << s;
    EXPECT_GT(level_z({}, 0.5, 2, 2, s), 8) << s;  // of y with twice its noise
  }
}

// On a diagonal prior under a mask all coordinates walk alone, and each is affine in its past: its mean and
// variance by recursion.
struct Moments {
  double mean, variance;
};
Moments recursion(const NoiseSchedule& schedule, double eta, double eta_b, bool start_at_y, double lambda,
                  std::optional<double> y, double noise_std) {
  const double* level = schedule.sigma.data_ptr<double>();
  const double first = level[0], n2 = noise_std * noise_std;
  Moments x{0, schedule.initial_std * schedule.initial_std};
  if (y && start_at_y && first >= noise_std) x = {*y, first * first - n2};
  for (int64_t k = 0; k < schedule.steps(); ++k) {
    const double t = level[k], s = level[k + 1], c = lambda / (lambda + t * t);  // D = c x
    const double kept = std::sqrt(1 - eta * eta);
    double gain = c + kept * s / t * (1 - c), shift = 0, fresh = eta * eta * s * s;
    if (y && s >= noise_std) {
      gain = (1 - eta_b) * c;
      shift = eta_b * *y;
      fresh = s * s - eta_b * eta_b * n2;
    } else if (y) {
      gain = c * (1 - kept * s / noise_std);
      shift = kept * s / noise_std * *y;
    }
    x = {gain * x.mean + shift, gain * gain * x.variance + fresh};
  }
  return x;
}

constexpr double lambda = 2, noise_std = 0.4, y0 = 1.5;
constexpr int64_t draws = 3000;

// Largest z of mean and variance of the draws of two coordinates, of which the first is measured
double moments_z(const Tensor& x, const Moments& measured, const Moments& other) {
  double worst = 0;
  for (const auto& [column, m] : {std::pair{0, measured}, std::pair{1, other}}) {
    const Tensor r = x.select(1, column).to(at::kDouble) - m.mean;
    worst = std::max(worst, std::abs(r.mean().item<double>()) / std::sqrt(m.variance / draws));
    worst =
        std::max(worst, std::abs(r.square().mean().item<double>() / m.variance - 1) / std::sqrt(2.0 / draws));
  }
  return worst;
}

template <class Options>
Tensor drawn(const Options& options, const NoiseSchedule& schedule, double std_of_noise,
             int64_t threads = 0) {
  const auto prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({2}, at::kDouble), at::full({2}, lambda, at::kDouble)));
  const auto mask = make_mask(at::tensor({1, 0}).to(at::kBool));
  const Problem problem{prior, GaussianLikelihood(mask, std_of_noise), at::full({1, 1}, y0, at::kDouble)};
  return DdrmSampler(options, schedule, {.threads = threads, .dtype = at::kDouble})
      .sample(problem, draws, Noise(6), {})
      .x.squeeze(1);
}

TEST(DdrmSampler, HasTheLawOfItsRecursionNotThePosteriors) {
  // A start below the noise of y, too, and one so low that it is not forgotten
  for (const double sigma_max : {0.3, 3.0, 80.0}) {
    const NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.05, .sigma_max = sigma_max}, 8);
    const auto law = [&](double eta, double eta_b, bool start_at_y, std::optional<double> y) {
      return recursion(schedule, eta, eta_b, start_at_y, lambda, y, noise_std);
    };
    const DdrmOptions options{.eta = 0.7, .eta_b = 0.9};
    const Tensor x = drawn(options, schedule, noise_std);
    const Moments other = law(0.7, 0.9, true, {});
    EXPECT_LT(moments_z(x, law(0.7, 0.9, true, y0), other), 4.5) << sigma_max;
    EXPECT_GT(moments_z(x, law(0.2, 0.9, true, y0), other), 6) << sigma_max;
    const double v = 1 / (1 / lambda + 1 / (noise_std * noise_std));
    EXPECT_GT(moments_z(x, {v / (noise_std * noise_std) * y0, v}, other), 8) << sigma_max;

    const Tensor plus = drawn(DdnmPlusOptions{.eta = 0.7}, schedule, noise_std);
    EXPECT_LT(moments_z(plus, law(0.7, 1, false, y0), law(0.7, 1, false, {})), 4.5) << sigma_max;
  }
}

TEST(DdrmSampler, StartsAtY) {
  // One step to the end of a walk forgets nothing
  const NoiseSchedule one{at::tensor({1.0, 0.9}, at::kDouble), 1};
  const auto law = [&](bool start_at_y, std::optional<double> y) {
    return recursion(one, 0, 0.2, start_at_y, lambda, y, noise_std);
  };
  const Tensor x = drawn(DdrmOptions{.eta = 0, .eta_b = 0.2}, one, noise_std);
  EXPECT_LT(moments_z(x, law(true, y0), law(true, {})), 4.5);
  EXPECT_GT(moments_z(x, law(false, y0), law(false, {})), 8);
}

TEST(DdrmSampler, DoesNotDependOnThreads) {
  const NoiseSchedule schedule = make_schedule(Karras{}, 3);
  EXPECT_TRUE(
      at::equal(drawn(DdrmOptions{}, schedule, noise_std, 1), drawn(DdrmOptions{}, schedule, noise_std, 2)));
}

// Without noise A x_0 = y to rounding, for every operator
TEST(DdrmSampler, ReproducesYWithoutNoise) {
  const Shape image{1, side, side};
  for (const auto& a : {make_mask(random_mask(image, 0.5, Noise(4))), make_downsample(image, 2),
                        make_blur(image, gaussian_kernel(0.5, 2)), make_matrix(image, normal({7, d}, 5))}) {
    const GaussianProblem p(a, 0, 3);
    for (const auto dtype : {at::kDouble, at::kFloat}) {
      const auto residual = [&](const auto& options) {
        const DdrmSampler method(options, make_schedule(Karras{}, 10), {.dtype = dtype});
        const Draws result = method.sample(p.problem, 4, Noise(7), {});
        const Tensor ax = a->apply(result.x.flatten(0, 1).to(at::kDouble)).reshape({4, 3, -1});
        return max_difference(ax, p.flat_y().expand_as(ax));
      };
      const double rounding = dtype == at::kDouble ? 1e-10 : 1e-4;
      EXPECT_LT(residual(DdrmOptions{}), rounding);
      EXPECT_LT(residual(DdnmPlusOptions{}), rounding);
      EXPECT_GT(residual(DdrmOptions{.eta_b = 0.5}), rounding);
    }
  }
}

TEST(DdrmSampler, RefusesBadInput) {
  const NoiseSchedule schedule = make_schedule(Karras{}, 3);
  expect_error([&] { DdrmSampler(DdrmOptions{.eta = 1.5}, schedule, {}); }, {"method.eta", "1.5"});
  expect_error([&] { DdrmSampler(DdrmOptions{.eta_b = -1}, schedule, {}); }, {"method.eta_b", "-1"});
  expect_error([&] { DdrmSampler(DdnmPlusOptions{.eta = NAN}, schedule, {}); }, {"method.eta"});
}

}  // namespace
}  // namespace tweedie
