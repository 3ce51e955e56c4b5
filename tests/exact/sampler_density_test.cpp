// The density of the probability-flow ODE against closed forms.
#include "tweedie/flow_density.h"

#include "tweedie/gaussian_prior.h"
#include "tweedie/mixture_prior.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const FlowDensityOptions fine{.sigma_min = 0.1, .sigma_max = 80, .tolerance = 1e-6};

GaussianPrior correlated(int64_t d) {
  return GaussianPrior::full(normal({d}, 1), random_covariance(d, 2));
}

// A prior that can't tell its density
class Hidden final : public Denoiser {
 public:
  explicit Hidden(GaussianPrior prior) : prior_(std::move(prior)) {}
  Shape shape() const override { return prior_.shape(); }

 protected:
  Tensor do_mean(const Tensor& x, const Tensor& sigma) const override {
    return prior_.mean(x, sigma.flatten());
  }
  Linearised do_linearise(const Tensor& x, const Tensor& sigma) const override {
    return linearise(prior_, x, sigma.flatten());
  }

 private:
  GaussianPrior prior_;
};

TEST(FlowDensity, OfAGaussianIsTheClosedForm) {
  const GaussianPrior prior = correlated(3);
  const Tensor x = prior.flat_mean() + 2 * normal({10, 3}, 3);
  const FlowDensity ours = flow_log_prob(prior, x, fine, Noise(1));
  EXPECT_TRUE(ours.converged.all().item<bool>());
  EXPECT_FALSE(ours.standard_error);
  EXPECT_LT(max_difference(ours.log_prob, prior.log_prob(x, 0.1)), 1e-4);
  EXPECT_GT(max_difference(ours.log_prob, prior.log_prob(x, 0)), 0.1);  // it is that of x_sigma
  EXPECT_GT(ours.evaluations.min().item<int64_t>(), 20);
  EXPECT_LT(ours.evaluations.max().item<int64_t>(), 1500);
}

MixturePrior three_modes() {
  const Tensor means = at::tensor({-2., 0., 2., 0.5, 0., 3.}, at::kDouble).view({3, 2});
  const Tensor covariances =
      at::stack({random_covariance(2, 1), random_covariance(2, 2), random_covariance(2, 3)});
  return MixturePrior::full(at::tensor({0.5, 0.3, 0.2}, at::kDouble), means, covariances);
}

TEST(FlowDensity, OfAMixtureIsTheClosedForm) {
  const MixturePrior prior = three_modes();
  Noise noise(2);
  const Tensor x = at::cat({prior.sample(20, noise), 3 * normal({10, 2}, 3)});
  for (const double sigma : {0.02, 0.5}) {
    FlowDensityOptions options = fine;
    options.sigma_min = sigma;
    const FlowDensity ours = flow_log_prob(prior, x, options, Noise(1));
    EXPECT_TRUE(ours.converged.all().item<bool>());
    EXPECT_LT(max_difference(ours.log_prob, prior.log_prob(x, sigma)), 1e-4);
  }
}

// Fewer digits asked for, fewer evaluations and a larger error
TEST(FlowDensity, ToleranceIsKept) {
  const GaussianPrior prior = correlated(3);
  const Tensor x = prior.flat_mean() + 2 * normal({10, 3}, 3), exact = prior.log_prob(x, 0.1);
  FlowDensityOptions options = fine;
  double error[2], evaluations[2];
  for (const int k : {0, 1}) {
    options.tolerance = k == 0 ? 1e-3 : 1e-7;
    const FlowDensity ours = flow_log_prob(prior, x, options, Noise(1));
    error[k] = max_difference(ours.log_prob, exact);
    evaluations[k] = ours.evaluations.to(at::kDouble).mean().item<double>();
  }
  EXPECT_LT(error[0], 0.05);
  EXPECT_LT(error[1], 1e-6);
  EXPECT_LT(evaluations[0], evaluations[1] / 2);
}

// Where the density at sigma_max is not known, it is N(0, sigma_max^2 + data_std^2), and that is all the
// error.
TEST(FlowDensity, ErrorOfTheTerminalIsItsOwn) {
  const Tensor x = normal({5, 2}, 4);
  const double end = 5;
  FlowDensityOptions options = fine;
  options.sigma_max = end;
  const auto hidden_minus_exact = [&](double variance) {
    const GaussianPrior prior =
        GaussianPrior::diagonal(at::zeros({2}, at::kDouble), at::full({2}, variance, at::kDouble));
    return flow_log_prob(Hidden(prior), x, options, Noise(1)).log_prob - prior.log_prob(x, 0.1);
  };
  EXPECT_LT(hidden_minus_exact(1).abs().max().item<double>(), 1e-5);
  const double v = 9, true_end = v + end * end, taken = 1 + end * end;
  const Tensor square = x.square().sum(1) * (true_end / (v + 0.01));  // of x at sigma_max
  const Tensor expected = -0.5 * (square / taken - square / true_end) - std::log(taken / true_end);
  EXPECT_LT(max_difference(hidden_minus_exact(v), expected), 1e-5);
  EXPECT_GT(expected.abs().max().item<double>(), 0.1);
}

TEST(FlowDensity, IntegratesToOne) {
  const MixturePrior prior = three_modes();
  FlowDensityOptions options = fine;
  options.sigma_min = 0.3;
  options.tolerance = 1e-5;
  const int64_t n = 41;
  const Tensor axis = at::linspace(-8, 8, n, at::kDouble);
  const Tensor x = at::stack({axis.repeat_interleave(n), axis.repeat({n})}, 1);
  const Tensor density = flow_log_prob(prior, x, options, Noise(1)).log_prob.exp();
  EXPECT_NEAR(density.sum().item<double>() * std::pow(16.0 / (n - 1), 2), 1, 1e-4);
}

TEST(FlowDensity, ProbesAreUnbiasedAndSayHowFarOff) {
  const GaussianPrior prior = correlated(4);
  const Tensor x = prior.flat_mean() + normal({6, 4}, 5);
  FlowDensityOptions options = fine;
  const Tensor exact = flow_log_prob(prior, x, options, Noise(1)).log_prob;
  options.divergence = Divergence::hutchinson;
  options.probes = 100;
  const FlowDensity estimate = flow_log_prob(prior, x, options, Noise(1));
  const Tensor z = (estimate.log_prob - exact) / *estimate.standard_error;
  EXPECT_LT(z.abs().max().item<double>(), 4.5);
  EXPECT_GT(estimate.standard_error->min().item<double>(), 1e-3);
  // Without the divergence the integral is that of d, and the same test says so.
  const double missing = 4 * std::log(options.sigma_max / options.sigma_min);
  const Tensor wrong = (prior.log_prob(x, 0.1) + missing - exact) / *estimate.standard_error;
  EXPECT_GT(wrong.abs().min().item<double>(), 20);

  // One probe of random signs is exact for a diagonal derivative.
  const GaussianPrior diagonal = GaussianPrior::diagonal(normal({4}, 6), normal({4}, 7).square());
  options.probes = 1;
  const FlowDensity one = flow_log_prob(diagonal, x, options, Noise(1));
  EXPECT_FALSE(one.standard_error);
  EXPECT_LT(max_difference(one.log_prob, diagonal.log_prob(x, 0.1)), 1e-5);
}

TEST(FlowDensity, RowsDoNotDependOnEachOther) {
  const GaussianPrior prior = GaussianPrior::diagonal(normal({3}, 1), normal({3}, 2).square());
  const Tensor x =
      normal({7, 3}, 8) * at::tensor({0.1, 1., 3., 10., 30., 100., 1000.}, at::kDouble).view({7, 1});
  FlowDensityOptions options = fine;
  options.divergence = Divergence::hutchinson;
  const FlowDensity all = flow_log_prob(prior, x, options, Noise(1));
  EXPECT_TRUE(all.converged.all().item<bool>());
  for (int64_t i = 0; i < 7; ++i) {
    const Noise own = Noise(1).rows({static_cast<uint64_t>(i)});
    const FlowDensity alone = flow_log_prob(prior, x.slice(0, i, i + 1), options, own);
    EXPECT_TRUE(at::equal(alone.log_prob[0], all.log_prob[i])) << i;
    EXPECT_TRUE(at::equal(alone.evaluations[0], all.evaluations[i])) << i;
  }
}

TEST(FlowDensity, Float32IsIntegratedInFloat64) {
  const GaussianPrior prior = correlated(3);
  const Tensor x = normal({5, 3}, 9, at::kFloat);
  const Tensor single = flow_log_prob(prior, x, fine, Noise(1)).log_prob;
  EXPECT_TRUE(at::equal(single, flow_log_prob(prior, x.to(at::kDouble), fine, Noise(1)).log_prob));
}

TEST(FlowDensity, TooFewStepsAreSaidNotThrown) {
  FlowDensityOptions options = fine;
  options.max_steps = 5;
  const FlowDensity cut = flow_log_prob(correlated(3), normal({4, 3}, 1), options, Noise(1));
  EXPECT_FALSE(cut.converged.any().item<bool>());
  EXPECT_TRUE(cut.log_prob.isnan().all().item<bool>());
  EXPECT_EQ(cut.evaluations[0].item<int64_t>(), 1 + 5 * 6);
}

TEST(FlowDensity, BadInputIsNamed) {
  const GaussianPrior prior = correlated(3);
  const Tensor x = normal({4, 3}, 1);
  const auto with = [&](auto change) {
    return [&, change] {
      FlowDensityOptions options;
      change(options);
      flow_log_prob(prior, x, options, Noise(1));
    };
  };
  expect_error(with([](auto& o) { o.sigma_min = 0; }), {"sigma_min", "0"});
  expect_error(with([](auto& o) { o.sigma_max = 0.001; }), {"sigma_max", "0.001", "0.002"});
  expect_error(with([](auto& o) { o.tolerance = NAN; }), {"tolerance", "nan"});
  expect_error(with([](auto& o) { o.data_std = -1; }), {"data_std", "-1"});
  expect_error(with([](auto& o) { o.probes = 0; }), {"probes", "0"});
  expect_error(with([](auto& o) { o.max_steps = 0; }), {"max_steps", "0"});
  expect_error([&] { flow_log_prob(prior, x * NAN, {}, Noise(1)); }, {"x", "NaN"});
  expect_error([&] { flow_log_prob(prior, x[0], {}, Noise(1)); }, {"x", "(3,)"});
  expect_error([&] { flow_log_prob(prior, x.slice(0, 0, 0), {}, Noise(1)); }, {"x", "no rows"});
}

}  // namespace
}  // namespace tweedie
