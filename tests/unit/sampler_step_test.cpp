#include "tweedie/annealed_langevin.h"
#include "tweedie/ddim.h"
#include "tweedie/ddpm.h"
#include "tweedie/dpm_solver.h"
#include "tweedie/euler.h"
#include "tweedie/gaussian_prior.h"
#include "tweedie/heun.h"
#include "tweedie/mala.h"
#include "tweedie/predictor_corrector.h"
#include "tweedie/ula.h"

#include "check_tensor.h"

#include <cmath>
#include <functional>

namespace tweedie {
namespace {

const GaussianPrior& prior() {
  static const GaussianPrior p = GaussianPrior::full(normal({3}, 1), random_covariance(3, 2));
  return p;
}

// x_s = sqrt(abar_s) D + sqrt(1 - abar_s - c^2) eps + c z, the DDIM paper's own coordinates
TEST(Ddim, IsThePapersStep) {
  const double abar_t = 0.3, abar_s = 0.7, eta = 0.6;
  const double t = std::sqrt((1 - abar_t) / abar_t), s = std::sqrt((1 - abar_s) / abar_s);
  const double c = eta * std::sqrt((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s));
  const Tensor x_t = normal({4, 3}, 3), d = prior().mean(x_t / std::sqrt(abar_t), t);
  const Tensor eps = (x_t - std::sqrt(abar_t) * d) / std::sqrt(1 - abar_t);
  const Tensor z = normal({4, 3}, 4);
  const Tensor expected = std::sqrt(abar_s) * d + std::sqrt(1 - abar_s - c * c) * eps + c * z;
  Noise noise(4);
  const Tensor ours =
      Ddim({.eta = eta}).step(prior(), x_t / std::sqrt(abar_t), t, s, noise) * std::sqrt(abar_s);
  EXPECT_LT(max_difference(ours, expected), 1e-13);
}

TEST(Ddim, EndsAtTheDenoised) {
  const Tensor x = normal({4, 3}, 5);
  Noise noise(1);
  EXPECT_TRUE(at::equal(Ddim({.eta = 1}).step(prior(), x, 0.4, 0, noise), prior().mean(x, 0.4)));
  EXPECT_TRUE(at::equal(Heun({}, 10).step(prior(), x, 0.4, 0, noise), prior().mean(x, 0.4)));
}

TEST(Heun, ChurnIsAlgorithmTwo) {
  const HeunOptions options{.s_churn = 3, .s_min = 0.1, .s_max = 5, .s_noise = 1.01};
  const Heun heun(options, 10);
  const double t = 2, s = 1.2, hat = 1.3 * t;
  const Tensor x = normal({4, 3}, 6), z = normal({4, 3}, 7);
  const Tensor noisy = x + 1.01 * std::sqrt(hat * hat - t * t) * z;
  const Tensor d = (noisy - prior().mean(noisy, hat)) / hat, euler = noisy + (s - hat) * d;
  const Tensor d_end = (euler - prior().mean(euler, s)) / s;
  Noise noise(7);
  EXPECT_LT(max_difference(heun.step(prior(), x, t, s, noise), noisy + (s - hat) * (d + d_end) / 2), 1e-14);
  // Outside [s_min, s_max] nothing is added; above sqrt(2) - 1 per step it is capped.
  Noise outside(7);
  EXPECT_TRUE(at::equal(heun.step(prior(), x, 6, 5, outside), Heun({}, 10).step(prior(), x, 6, 5, outside)));
  EXPECT_EQ(outside.step(), 0);
  Noise one(7), two(7);
  EXPECT_TRUE(at::equal(Heun({.s_churn = 1000}, 10).step(prior(), x, t, s, one),
                        Heun({.s_churn = 2000}, 10).step(prior(), x, t, s, two)));
}

// The samplers on whole walks, written for x_t = alpha x_0 + sigma eps as their papers have them, are ours
// on any path: VP, VE and flow are one under x = x_t / alpha.
struct Point {
  double alpha, sigma;
};
using OnPath = Point (*)(double ratio);
Point vp(double ratio) {
  return {1 / std::hypot(1, ratio), ratio / std::hypot(1, ratio)};
}
Point ve(double ratio) {
  return {1, ratio};
}
Point flow(double ratio) {
  return {1 / (1 + ratio), ratio / (1 + ratio)};
}

// One step of a paper: x_t, D and D of the step before, its point, this one's and the next
using Step = std::function<Tensor(const Tensor& x, const Tensor& d, const Tensor& d_before, Point before,
                                  Point t, Point s, Noise& noise)>;

Tensor walk_on(OnPath path, const Step& step, const NoiseSchedule& schedule, const Tensor& start) {
  const auto level = [&](int64_t i) { return schedule.sigma[i].item<double>(); };
  Noise noise(3);
  Tensor x = path(level(0)).alpha * start, before;
  for (int64_t i = 0; i < schedule.steps(); ++i) {
    const Point t = path(level(i)), s = path(level(i + 1));
    const Tensor d = prior().mean(x / t.alpha, level(i));
    x = s.sigma == 0 ? d : step(x, d, before, i > 0 ? path(level(i - 1)) : t, t, s, noise);
    before = d;
  }
  return x;
}

void expect_same_walk(const Sampler& sampler, const std::vector<OnPath>& paths, const Step& step) {
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 25);
  const Tensor start = schedule.initial_std * normal({4, 3}, 10);
  Noise noise(3);
  const Tensor ours = walk(prior(), sampler, schedule, start, noise);
  for (const OnPath path : paths)
    EXPECT_LT(max_difference(walk_on(path, step, schedule, start), ours), 1e-11);
}

// sigma_{t|s}^2
double added(Point t, Point s) {
  return t.sigma * t.sigma - std::pow(t.alpha / s.alpha * s.sigma, 2);
}

TEST(OneCoordinate, DdimIsThePapersOnEveryPath) {
  expect_same_walk(
      Ddim({.eta = 0.5}), {vp, ve, flow},
      [](const Tensor& x, const Tensor& d, const Tensor&, Point, Point t, Point s, Noise& noise) {
        const double c = 0.5 * s.sigma / t.sigma * std::sqrt(added(t, s));
        const Tensor eps = (x - t.alpha * d) / t.sigma;
        return s.alpha * d + std::sqrt(s.sigma * s.sigma - c * c) * eps + c * noise.normal_like(x);
      });
}

TEST(OneCoordinate, DdpmIsThePapersOnEveryPath) {
  const auto ddpm = [](bool large) -> Step {
    return [=](const Tensor& x, const Tensor& d, const Tensor&, Point, Point t, Point s, Noise& noise) {
      const double total = t.sigma * t.sigma;
      const double variance = large ? added(t, s) : added(t, s) * s.sigma * s.sigma / total;
      return s.alpha * added(t, s) / total * d + t.alpha / s.alpha * s.sigma * s.sigma / total * x +
             std::sqrt(variance) * noise.normal_like(x);
    };
  };
  expect_same_walk(Ddpm(), {vp, ve, flow}, ddpm(false));
  // "large" is a number of the VP path.
  expect_same_walk(Ddpm({.variance = DdpmOptions::Variance::large}), {vp}, ddpm(true));
}

// A model that says range = 1 walks with the large variance of the path on x / data_std: that of range 1 and
// data_std 1 on x / data_std.
TEST(Ddpm, LearnedVarianceIsOfThePathOnScaledData) {
  class Largest final : public Denoiser {
   public:
    explicit Largest(double data_std, double says) : data_std_(data_std), says_(says) {}
    Shape shape() const override { return {3}; }

   protected:
    Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
      const double variance = data_std_ * data_std_;
      return x * variance / (variance + sigma.square());
    }
    MeanAndRange do_mean_and_range(const Tensor& x, const Tensor& sigma) const override {
      return {do_mean(x, sigma), at::ones_like(x), says_};
    }

   private:
    double data_std_, says_;
  };
  constexpr double std = 8;
  const Tensor x = normal({4, 3}, 6);
  const auto step = [&](DdpmOptions::Variance variance, const Denoiser& denoiser, double unit) {
    Noise noise(5);
    return Ddpm({.variance = variance}).step(denoiser, unit * x, unit * 0.9, unit * 0.4, noise) / unit;
  };
  const Tensor large = step(DdpmOptions::Variance::large, Largest(1, 1), 1);
  EXPECT_LT(max_difference(step(DdpmOptions::Variance::learned, Largest(1, 1), 1), large), 1e-12);
  EXPECT_LT(max_difference(step(DdpmOptions::Variance::learned, Largest(std, std), std), large), 1e-12);
  EXPECT_GT(max_difference(step(DdpmOptions::Variance::learned, Largest(std, 1), std), large), 0.01);
}

TEST(OneCoordinate, DdpmIsDdimWithEtaOne) {
  const NoiseSchedule schedule = make_schedule(VpLinear{}, 25);
  const Tensor x = schedule.initial_std * normal({4, 3}, 10);
  const auto draw = [&](const Sampler& sampler) {
    Noise noise(4);
    return walk(prior(), sampler, schedule, x, noise);
  };
  EXPECT_LT(max_difference(draw(Ddpm()), draw(Ddim({.eta = 1}))), 1e-11);
  EXPECT_GT(max_difference(draw(Ddpm({.variance = DdpmOptions::Variance::large})), draw(Ddim({.eta = 1}))),
            0.01);
}

TEST(OneCoordinate, DpmSolverIsThePapersOnEveryPath) {
  expect_same_walk(
      DpmSolver2m(), {vp, ve, flow},
      [](const Tensor& x, const Tensor& d, const Tensor& d_before, Point before, Point t, Point s, Noise&) {
        const auto lambda = [](Point p) { return std::log(p.alpha / p.sigma); };
        const double h = lambda(s) - lambda(t), r = (lambda(t) - lambda(before)) / h;
        const Tensor data = d_before.defined() ? d + (d - d_before) / (2 * r) : d;
        return s.sigma / t.sigma * x - s.alpha * std::expm1(-h) * data;
      });
}

// SDE-DPM-Solver++(2M)
TEST(OneCoordinate, StochasticDpmSolverIsThePapersOnEveryPath) {
  expect_same_walk(DpmSolver2m({.eta = 1}), {vp, ve, flow},
                   [](const Tensor& x, const Tensor& d, const Tensor& d_before, Point before, Point t,
                      Point s, Noise& noise) {
                     const auto lambda = [](Point p) { return std::log(p.alpha / p.sigma); };
                     const double h = lambda(s) - lambda(t), r = (lambda(t) - lambda(before)) / h;
                     const Tensor data = d_before.defined() ? d + (d - d_before) / (2 * r) : d;
                     return s.sigma / t.sigma * std::exp(-h) * x - s.alpha * std::expm1(-2 * h) * data +
                            s.sigma * std::sqrt(-std::expm1(-2 * h)) * noise.normal_like(x);
                   });
}

TEST(OneCoordinate, EulerIsTheVelocitysInFlowsTime) {
  const Step straight = [](const Tensor& x, const Tensor& d, const Tensor&, Point, Point t, Point s, Noise&) {
    return x + (s.sigma - t.sigma) * ((x - t.alpha * d) / t.sigma - d);
  };
  expect_same_walk(Euler(), {flow}, straight);
}

TEST(Heun, FlowCoordinateIsTheVelocitysTrapezoid) {
  const double t = 0.7, s = 0.4;
  const auto velocity = [](const Tensor& x, double time) {
    return time == 0 ? -x : (x - prior().mean(x / (1 - time), time / (1 - time))) / time;
  };
  const Tensor x = normal({4, 3}, 11);
  const Heun heun({.coordinate = HeunOptions::Coordinate::flow}, 10);
  for (const double end : {s, 0.0}) {
    const Tensor v = velocity(x, t), euler = x + (end - t) * v;
    const Tensor expected = x + (end - t) / 2 * (v + velocity(euler, end));
    Noise noise(1);
    const Tensor ours = heun.step(prior(), x / (1 - t), t / (1 - t), end / (1 - end), noise);
    EXPECT_LT(max_difference((1 - end) * ours, expected), 1e-13);
  }
}

TEST(PredictorCorrector, CorrectsAfterDdim) {
  const double t = 2, s = 1.2, snr = 0.16;
  const Tensor x = normal({4, 3}, 12);
  const auto run = [&](const PredictorCorrectorOptions& options) {
    Noise noise(5);
    return PredictorCorrector(options).step(prior(), x, t, s, noise);
  };
  Noise noise(5);
  Tensor expected = Ddim({.eta = 1}).step(prior(), x, t, s, noise);
  EXPECT_TRUE(at::equal(run({.eta = 1, .corrections = 0}), expected));
  const Tensor predicted = expected;
  for (int k = 0; k < 2; ++k) {
    expected =
        expected - 0.3 * (expected - prior().mean(expected, s)) + s * std::sqrt(0.6) * noise.normal_like(x);
  }
  EXPECT_LT(max_difference(run({.eta = 1, .corrections = 2, .tau = 0.3}), expected), 1e-13);

  Noise again(5);
  again.seek(1);
  const Tensor score = (prior().mean(predicted, s) - predicted) / (s * s);
  const Tensor step = (2 * snr * snr * 3 / score.square().sum(1, true)).clamp_max(s * s);
  const Tensor moved = predicted + step * score + (2 * step).sqrt() * again.normal_like(x);
  EXPECT_LT(max_difference(run({.eta = 1, .snr = snr}), moved), 1e-13);
  Noise last(5);
  EXPECT_TRUE(at::equal(PredictorCorrector().step(prior(), x, t, 0, last), prior().mean(x, t)));
}

TEST(AnnealedLangevin, IsItsOneIterationRepeated) {
  const Tensor x = normal({4, 3}, 13);
  const double t = 0.5;
  Noise noise(6), same(6);
  Tensor expected = x;
  for (int k = 0; k < 5; ++k) {
    const Tensor score = (prior().mean(expected, t) - expected) / (t * t);
    expected = expected + 0.2 * t * t * score + std::sqrt(2 * 0.2) * t * noise.normal_like(x);
  }
  const AnnealedLangevin plain({.iterations = 5, .denoise = false}), denoised({.iterations = 5});
  EXPECT_LT(max_difference(plain.step(prior(), x, t, 0.3, same), expected), 1e-13);
  same.seek(0);
  EXPECT_LT(max_difference(denoised.step(prior(), x, t, 0, same), prior().mean(expected, t)), 1e-13);
  EXPECT_EQ(plain.total_evaluations(10), 50);
  EXPECT_EQ(denoised.total_evaluations(10), 51);
}

// The denoiser counts for itself.
class Counting final : public Denoiser {
 public:
  Shape shape() const override { return {3}; }
  mutable int64_t count = 0;

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    ++count;
    return prior().mean(x, sigma.flatten()[0].item<double>());
  }
};

TEST(Sampler, SaysHowManyEvaluationsItTakes) {
  const NoiseSchedule schedule = make_schedule(Karras{}, 6);
  const auto expect_count = [&](const Sampler& sampler) {
    const Counting denoiser;
    Noise noise(1);
    walk(denoiser, sampler, schedule, normal({2, 3}, 1), noise);
    EXPECT_EQ(sampler.total_evaluations(6), denoiser.count);
  };
  expect_count(Euler());
  expect_count(Ddim());
  expect_count(Ddpm());
  expect_count(DpmSolver2m());
  expect_count(DpmSolver2m({.eta = 1}));
  expect_count(Heun({.s_churn = 1}, 6));
  expect_count(Heun({.coordinate = HeunOptions::Coordinate::flow}, 6));
  expect_count(PredictorCorrector({.corrections = 3}));
  expect_count(AnnealedLangevin({.iterations = 4}));
  expect_count(AnnealedLangevin({.iterations = 4, .denoise = false}));
  expect_count(Ula({.iterations = 7}));
  EXPECT_EQ(Mala({.iterations = 7}).total_evaluations(6), 8);
}

TEST(Sampler, KeepsDtypeAndCountsEvaluations) {
  const Tensor x = normal({4, 3}, 8, at::kFloat) * 80;
  Noise noise(2);
  const NoiseSchedule schedule = make_schedule(Karras{}, 18);
  const Heun heun({.s_churn = 5}, 18);
  const Tensor single = walk(prior(), heun, schedule, x, noise);
  EXPECT_EQ(single.scalar_type(), at::kFloat);
  EXPECT_EQ(heun.total_evaluations(18), 35);
  EXPECT_EQ(Ddim().total_evaluations(18), 18);
}

TEST(Sampler, BadInputIsNamed) {
  const Tensor x = normal({4, 3}, 9);
  Noise noise(1);
  expect_error([&] { Ddim().step(prior(), x, 1, 2, noise); }, {"sampler.step", "1", "2"});
  expect_error([&] { Ddim().step(prior(), x, 1, -1, noise); }, {"sampler.step", "-1"});
  expect_error([] { Ddim({.eta = 1.5}); }, {"sampler.eta", "1.5"});
  expect_error([] { Ddim({.eta = NAN}); }, {"sampler.eta", "nan"});
  expect_error([] { Ddim({.data_variance = -1}); }, {"sampler.data_variance", "-1"});
  expect_error([] { Heun({.s_churn = -1}, 5); }, {"sampler.s_churn", "-1"});
  expect_error([] { Heun({.s_noise = 0}, 5); }, {"sampler.s_noise", "0"});
  expect_error([] { Heun({.s_min = 2, .s_max = 1}, 5); }, {"sampler.s_min", "2", "1"});
  expect_error([] { Heun({}, 0); }, {"sampler.steps", "0"});
  expect_error([] { PredictorCorrector({.eta = -1}); }, {"sampler.eta", "-1"});
  expect_error([] { PredictorCorrector({.corrections = -1}); }, {"sampler.corrections", "-1"});
  expect_error([] { PredictorCorrector({.tau = 1.5}); }, {"sampler.tau", "1.5"});
  expect_error([] { PredictorCorrector({.snr = 0}); }, {"sampler.snr", "0"});
  expect_error([] { AnnealedLangevin({.iterations = 0}); }, {"sampler.iterations", "0"});
  expect_error([] { AnnealedLangevin({.step = -1}); }, {"sampler.step", "-1"});
  expect_error([] { Ula({.iterations = 0}); }, {"sampler.iterations", "0"});
  expect_error([] { Ula({.step = INFINITY}); }, {"sampler.step", "inf"});
  expect_error([] { Mala({.start_std = -1}); }, {"sampler.start_std", "-1"});
  expect_error([&] { Mala().step(Counting(), x, 1, 0, noise); }, {"sampler.kind", "mala", "density", "ula"});
}

}  // namespace
}  // namespace tweedie
