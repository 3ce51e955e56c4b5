// A draw is a function of (noise, case, draw) alone, bit for bit: not of the number of threads, draws and
// cases, of its place in a slice, or of what the other cases measured.
#include "core/shape.h"
#include "tweedie/ddim.h"
#include "tweedie/guidance.h"
#include "tweedie/heun.h"
#include "tweedie/operators.h"

#include "network_tiny.h"

#include <set>

namespace tweedie {
namespace {

const Shape image{1, 6, 6};

std::shared_ptr<const Denoiser> gaussian() {
  return std::make_shared<const GaussianPrior>(
      GaussianPrior::full(normal(image, 1), random_covariance(36, 2)));
}

std::shared_ptr<const Denoiser> network(const NetworkOptions& options, at::ScalarType dtype) {
  const auto net = make_network(options, image);
  return std::make_shared<NetworkDenoiser>(
      std::make_shared<NetworkPredictor>(net, perturbed(*net).to(at::kCPU, dtype)), 0.5, image);
}

const UNetOptions unet{.channels = 8, .multipliers = {1, 2}, .blocks = 1, .attention = {3}};
const MlpOptions mlp{.width = 24, .depth = 2};

struct Named {
  const char* name;
  std::shared_ptr<const Denoiser> (*make)();
};

class EveryPrior : public testing::TestWithParam<Named> {
 protected:
  // Four steps from noise, given no measurement
  Tensor draw_prior(int64_t draws, int64_t cases, int64_t threads) const {
    const Heun sampler({.s_churn = 2}, 4);
    return draw([&](const auto&) { return prior; }, image, sampler, schedule, draws, cases, Noise(4), {},
                {.threads = threads, .slice_rows = 16});
  }
  Tensor draw_posterior(const Guidance& guidance, const Tensor& y, int64_t draws, int64_t threads) const {
    const GuidedSampler method(guidance, std::make_shared<Ddim>(DdimOptions{.eta = 0.5}), schedule,
                               {.threads = threads, .slice_rows = 16});
    return method.sample({prior, likelihood, y}, draws, Noise(5), {}).x;
  }

  std::shared_ptr<const Denoiser> prior = GetParam().make();
  NoiseSchedule schedule = make_schedule(Karras{.sigma_min = 0.1, .sigma_max = 10}, 4);
  GaussianLikelihood likelihood{make_blur(image, gaussian_kernel(1, 2)), 0.5};
};

INSTANTIATE_TEST_SUITE_P(Priors, EveryPrior,
                         testing::Values(Named{"Gaussian", gaussian},
                                         Named{"UNetFloat32", [] { return network(unet, at::kFloat); }},
                                         Named{"UNetBfloat16", [] { return network(unet, at::kBFloat16); }},
                                         Named{"MlpFloat32", [] { return network(mlp, at::kFloat); }},
                                         Named{"MlpBfloat16", [] { return network(mlp, at::kBFloat16); }}),
                         [](const auto& info) { return info.param.name; });

TEST_P(EveryPrior, DrawsDoNotDependOnThreadsOrNumbers) {
  const Tensor all = draw_prior(21, 3, 1);
  ASSERT_EQ(all.sizes().vec(), (Shape{21, 3, 1, 6, 6}));
  EXPECT_TRUE(at::equal(draw_prior(21, 3, 2), all));
  EXPECT_TRUE(at::equal(draw_prior(21, 3, 3), all));
  EXPECT_TRUE(at::equal(draw_prior(5, 3, 1), all.slice(0, 0, 5)));
  EXPECT_TRUE(at::equal(draw_prior(21, 1, 1), all.slice(1, 0, 1)));
  EXPECT_TRUE(at::equal(draw_prior(1, 2, 1), all.slice(0, 0, 1).slice(1, 0, 2)));
  EXPECT_TRUE(at::equal(draw_prior(1, 20, 1), draw_prior(2, 20, 2).slice(0, 0, 1)));
  // All 63 are different.
  EXPECT_EQ(std::get<0>(at::unique_dim(all.reshape({63, 36}), 0)).size(0), 63);
}

TEST_P(EveryPrior, GuidedDrawsDoNotDependOnThreadsOrNumbersOrOtherCases) {
  const Tensor y = normal({3, 1, 6, 6}, 6, at::kFloat);
  for (const Guidance& guidance : {Guidance(MmpsOptions{}), Guidance(DpsOptions{.step_size = 0.5})}) {
    const Tensor all = draw_posterior(guidance, y, 21, 1);
    EXPECT_TRUE(all.isfinite().all().item<bool>());
    EXPECT_TRUE(at::equal(draw_posterior(guidance, y, 21, 2), all));
    EXPECT_TRUE(at::equal(draw_posterior(guidance, y, 5, 3), all.slice(0, 0, 5)));
    EXPECT_TRUE(at::equal(draw_posterior(guidance, y.slice(0, 0, 1), 21, 1), all.slice(1, 0, 1)));
    Tensor others = y.clone();
    others[0] = 100;
    others[2] = 0;
    EXPECT_TRUE(
        at::equal(draw_posterior(guidance, others, 9, 1).select(1, 1), all.slice(0, 0, 9).select(1, 1)));
  }
}

TEST(ExactSampler, DrawsDoNotDependOnNumbersOrOtherCases) {
  const GaussianLikelihood likelihood(make_blur(image, gaussian_kernel(1, 2)), 0.5);
  const Tensor y = normal({3, 1, 6, 6}, 6);
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const ExactSampler exact({.dtype = dtype});
    const auto draw = [&](const Tensor& measured, int64_t draws) {
      return exact.sample({gaussian(), likelihood, measured}, draws, Noise(5), {}).x;
    };
    const Tensor all = draw(y, 21);
    EXPECT_EQ(all.sizes().vec(), (Shape{21, 3, 1, 6, 6}));
    EXPECT_EQ(all.scalar_type(), dtype);
    EXPECT_TRUE(at::equal(draw(y, 5), all.slice(0, 0, 5)));
    EXPECT_TRUE(at::equal(draw(y, 1), all.slice(0, 0, 1)));
    EXPECT_TRUE(at::equal(draw(y.slice(0, 0, 2), 21), all.slice(1, 0, 2)));
  }
}

// What it draws is tested with GaussianPosterior; here that each case has its own law and the evidence.
TEST(ExactSampler, EachCaseIsItsOwnPosterior) {
  const auto prior = std::make_shared<const GaussianPrior>(
      GaussianPrior::diagonal(at::zeros({2}, at::kDouble), at::tensor({1.0, 4.0}, at::kDouble)));
  const GaussianLikelihood likelihood(make_identity({2}), 0.5);
  const Tensor y = at::tensor({2.0, -1.0, 0.0, 3.0}, at::kDouble).view({2, 2});
  const int64_t n = 4000;
  const Draws draws = ExactSampler({.dtype = at::kDouble}).sample({prior, likelihood, y}, n, Noise(1), {});
  const Tensor variance = prior->covariance().diagonal(), posterior = 1 / (1 / variance + 4);
  const auto worst_z = [&](const Tensor& mean) {
    return ((draws.x.mean(0) - mean) / (posterior / n).sqrt()).abs().max().item<double>();
  };
  EXPECT_LT(worst_z(4 * posterior * y), 4.5);
  EXPECT_GT(worst_z(4 * posterior * y.flip(0)), 10);
  EXPECT_LT(((draws.x.var(0) / posterior - 1) / std::sqrt(2.0 / n)).abs().max().item<double>(), 4.5);
  const Tensor total = variance + 0.25;
  const Tensor evidence = -0.5 * (y.square() / total + (2 * M_PI * total).log()).sum(1);
  EXPECT_LT(max_difference(*draws.log_evidence, evidence), 1e-12);
  EXPECT_EQ(draws.log_weight.sizes().vec(), (Shape{n, 2}));
}

TEST(ExactSampler, RefusesWhatItCannotDo) {
  const GaussianLikelihood likelihood(make_identity(image), 0.5);
  const Tensor y = normal({1, 1, 6, 6}, 1);
  const auto sample = [&](std::shared_ptr<const Denoiser> prior, const Tensor& measured, int64_t draws) {
    return [=] { ExactSampler({}).sample({prior, likelihood, measured}, draws, Noise(1), {}); };
  };
  expect_error(sample(network(mlp, at::kFloat), y, 3), {"method.kind", "analytic prior", "mmps"});
  expect_error(sample(gaussian(), y, 0), {"draws", "0"});
  expect_error(sample(gaussian(), y[0], 3), {"measurement.y", "(1, 6, 6)"});
  expect_error(sample(gaussian(), y * NAN, 3), {"measurement.y", "NaN"});
}

// y = x^2: a measurement that no matrix makes
class Square final : public ForwardOperator {
 public:
  Shape domain() const override { return image; }
  Shape codomain() const override { return image; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return x.square(); }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override { return 2 * x * v; }
};

TEST(GuidedSampler, RefusesWhatItCannotDo) {
  const GaussianLikelihood linear(make_identity(image), 0.5), square(std::make_shared<Square>(), 0.5);
  const Tensor y = normal({1, 1, 6, 6}, 1);
  const auto sample = [&](const Guidance& guidance, const Likelihood& likelihood, const Tensor& measured,
                          int64_t draws) {
    return [=] {
      GuidedSampler(guidance, std::make_shared<Ddim>(), make_schedule(Karras{}, 2), {})
          .sample({gaussian(), likelihood, measured}, draws, Noise(1), {});
    };
  };
  expect_error(sample(MmpsOptions{}, square, y, 3), {"method.kind", "linear", "dps"});
  expect_error(sample(MmpsOptions{.iterations = 0}, linear, y, 3), {"method.iterations", "0"});
  expect_error(sample(MmpsOptions{.tolerance = -1}, linear, y, 3), {"method.tolerance", "-1"});
  expect_error(sample(DpsOptions{.step_size = 0}, linear, y, 3), {"method.step_size", "0"});
  expect_error(sample(DpsOptions{}, linear, y, 0), {"draws", "0"});
  expect_error(sample(DpsOptions{}, linear, y.slice(0, 0, 0), 1), {"measurement.y", "at least 1"});
  expect_error(sample(DpsOptions{}, linear, y[0], 3), {"measurement.y", "(1, 6, 6)"});
  expect_error(sample(DpsOptions{}, linear, y * NAN, 3), {"measurement.y", "NaN"});
  EXPECT_NO_THROW(sample(DpsOptions{}, square, y, 3)());
}

TEST(GuidedSampler, CountsTheWorkOfOneDraw) {
  const GaussianLikelihood likelihood(make_identity(image), 0.5);
  const Tensor y = normal({1, 1, 6, 6}, 1);
  const auto run = [&](const Guidance& guidance) {
    const GuidedSampler method(guidance, std::make_shared<Heun>(HeunOptions{}, 6), make_schedule(Karras{}, 6),
                               {});
    return method.sample({gaussian(), likelihood, y}, 5, Noise(1), {}).run;
  };
  const RunRecord dps = run(DpsOptions{}), mmps = run(MmpsOptions{.iterations = 2, .tolerance = 0});
  EXPECT_EQ(dps.steps, 6);
  EXPECT_EQ(dps.network_evaluations, 11);
  EXPECT_EQ(dps.network_vjps, 11);
  EXPECT_EQ(dps.operator_applications, 22);
  EXPECT_EQ(mmps.network_evaluations, 11);
  EXPECT_EQ(mmps.network_vjps, 22);
  EXPECT_EQ(mmps.operator_applications, 11 * 5);
  EXPECT_TRUE(mmps.warnings.empty());
  EXPECT_EQ(run(OracleOptions{}).network_evaluations, 11);
  EXPECT_EQ(run(CfgOptions{}).network_evaluations, 2 * 11);  // of the prior and of its oracle
}

// A denoiser whose derivative is not positive is no posterior mean: the solves are cut short, and it is said.
class Reversed final : public Denoiser {
 public:
  Shape shape() const override { return image; }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override { return -x / (1 + sigma.square()); }
};

TEST(GuidedSampler, WarnsOfACovarianceThatIsNone) {
  const GaussianLikelihood likelihood(make_identity(image), 0.1);
  const GuidedSampler method(MmpsOptions{}, std::make_shared<Ddim>(), make_schedule(Karras{}, 5), {});
  const Draws draws =
      method.sample({std::make_shared<Reversed>(), likelihood, normal({1, 1, 6, 6}, 1)}, 3, Noise(1), {});
  ASSERT_EQ(draws.run.warnings.size(), 1U);
  // All but the last step's, at 0.002, where V is too small to matter
  EXPECT_THAT(draws.run.warnings[0], testing::HasSubstr("not positive in 80.0%"));
  EXPECT_TRUE(draws.x.isfinite().all().item<bool>());
}

TEST(Draw, ReportsAndStops) {
  const auto prior = gaussian();
  const NoiseSchedule schedule = make_schedule(Karras{}, 3);
  const auto run = [&](const Observer& observer) {
    return draw([&](const auto&) { return prior; }, image, Ddim(), schedule, 20, 1, Noise(1), observer,
                {.slice_rows = 16});
  };
  std::set<int64_t> done;
  run([&](const Progress& p) {
    EXPECT_EQ(p.total, 6);  // two slices
    EXPECT_GT(p.rows_per_second, 0);
    done.insert(p.done);
    return Control::proceed;
  });
  EXPECT_EQ(done, (std::set<int64_t>{1, 2, 3, 4, 5, 6}));
  int64_t calls = 0;
  EXPECT_THROW(run([&](const Progress&) {
                 ++calls;
                 return Control::stop;
               }),
               Interrupted);
  EXPECT_EQ(calls, 1);
  EXPECT_THROW(run([](const Progress&) -> Control { throw Error("observer", "no"); }), Error);
}

}  // namespace
}  // namespace tweedie
