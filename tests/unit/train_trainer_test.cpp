#include "tweedie/diffusion.h"
#include "tweedie/train.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// The sum over n rows of the weighted loss of a zero network, whose target is N(0, 1) in each dimension for
// Gaussian data of standard deviation sigma_data: chi2 with n d degrees of freedom.
double initial_loss_z(double sigma_data) {
  const int64_t n = 4000, d = 6;
  const DiffusionModel model(make_network(MlpOptions{.width = 8, .depth = 1}, Shape{d}), EdmObjective{},
                             sigma_data);
  Noise noise(2);
  const Tensor x = 0.5 * normal({n, d}, 1, at::kFloat);
  const Tensor loss = model.bind(model.initialise(Noise(3), x), at::kFloat)({.x = x}, noise);
  return (loss.item<double>() - n * d) / std::sqrt(2.0 * n * d);
}

TEST(EdmLoss, IsOnePerDimensionAtTheStart) {
  EXPECT_LT(std::abs(initial_loss_z(0.5)), 4.5);
  EXPECT_GT(std::abs(initial_loss_z(0.6)), 8);
}

// Two numbers of standard deviation 1 and correlation 0.98
Tensor correlated(int64_t n, uint64_t seed) {
  const Tensor z = normal({n, 2}, seed, at::kFloat);
  return at::stack({z.select(1, 0), 0.98 * z.select(1, 0) + std::sqrt(1 - 0.98 * 0.98) * z.select(1, 1)}, 1);
}

// E over ln sigma of weight tr Cov[x | x_sigma] / d, by the trapezoidal rule
double irreducible_loss() {
  const Tensor z = at::linspace(-8, 8, 4001, at::kDouble), sigma2 = (2 * (1.2 * z - 1.2)).exp();
  const Tensor density = (-z.square() / 2).exp();
  const Tensor reduced = 0.5 * (1.98 / (1.98 + sigma2) + 0.02 / (0.02 + sigma2));
  return ((1 + sigma2) * reduced * density).sum().item<double>() / density.sum().item<double>();
}

std::shared_ptr<const Trainable> mlp(int64_t width) {
  return std::make_shared<DiffusionModel>(make_network(MlpOptions{.width = width, .depth = 2}, Shape{2}),
                                          EdmObjective{}, 1.0);
}
const std::shared_ptr<const Trainable> small = mlp(32);

TrainOptions quick(int64_t steps) {
  TrainOptions options;
  options.steps = steps;
  options.batch = 40;  // three slices, the last one short
  options.learning_rate = 5e-3;
  options.warmup_steps = 10;
  options.precision = Precision::f32;
  return options;
}

TrainState trained(const TrainOptions& options, uint64_t seed = 1, int64_t threads = 1) {
  Trainer trainer(small, correlated(1000, 1), Tensor(), options, seed, threads);
  EXPECT_TRUE(trainer.run({}));
  return trainer.state();
}

bool same(const Weights& a, const Weights& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!at::equal(a.tensors()[i], b.tensors()[i])) return false;
  }
  return a.size() == b.size();
}

class Optimisers : public testing::TestWithParam<Optimiser> {};

TEST_P(Optimisers, ApproachTheIrreducibleLoss) {
  TrainOptions options = quick(600);
  options.batch = 128;
  options.optimiser = GetParam();
  const TrainState state = trained(options);
  const int64_t n = 40000;
  const auto loss = [&](const Weights& weights) {
    Noise noise(5);
    const Tensor fresh = correlated(n, 6);
    return small->bind(weights, at::kFloat)({.x = fresh}, noise).item<double>() / (2.0 * n);
  };
  const double start = loss(small->initialise(Noise(1), {})), least = irreducible_loss();
  // A row's loss, a square of numbers of order 1, has a standard deviation below 3.
  const double error = 4.5 * 3 / std::sqrt(static_cast<double>(n));
  EXPECT_NEAR(start, 1, error);
  EXPECT_GT(loss(state.average), least - error);
  EXPECT_LT(loss(state.average), least + 0.1 * (1 - least) + error);
  EXPECT_LT(loss(state.weights), least + 0.1 * (1 - least) + error);
}

INSTANTIATE_TEST_SUITE_P(Both, Optimisers, testing::Values(Optimiser::adamw, Optimiser::muon));

TEST(Trainer, WeightsDoNotDependOnTheThreads) {
  for (const auto& [precision, optimiser] : {std::pair{Precision::f32, Optimiser::adamw},
                                             {Precision::bf16, Optimiser::adamw},
                                             {Precision::f32, Optimiser::muon}}) {
    TrainOptions options = quick(12);
    options.precision = precision;
    options.optimiser = optimiser;
    const TrainState one = trained(options), two = trained(options, 1, 2), other = trained(options, 2);
    EXPECT_TRUE(same(one.weights, two.weights));
    EXPECT_TRUE(same(one.average, two.average));
    EXPECT_FALSE(same(one.weights, other.weights));
    EXPECT_EQ(one.weights.tensors()[0].scalar_type(), at::kFloat);
  }
}

class StoppedAndRestored : public testing::TestWithParam<Optimiser> {};

TEST_P(StoppedAndRestored, IsUninterrupted) {
  TrainOptions options = quick(30);
  options.optimiser = GetParam();
  const TrainState whole = trained(options);
  Trainer first(small, correlated(1000, 1), Tensor(), options, 1, 1),
      second(small, correlated(1000, 1), Tensor(), options, 1, 1);
  EXPECT_FALSE(first.run([](const Progress& p) { return p.done == 17 ? Control::stop : Control::proceed; }));
  EXPECT_EQ(first.state().step, 17);
  const Weights at_17 = first.state().weights.clone();
  second.restore(first.state());
  EXPECT_TRUE(second.run({}));
  EXPECT_TRUE(same(second.state().weights, whole.weights));
  EXPECT_TRUE(same(second.state().average, whole.average));
  EXPECT_TRUE(same(second.state().moment2, whole.moment2));
  // What was restored from is left alone, and can itself go on.
  EXPECT_TRUE(same(first.state().weights, at_17));
  EXPECT_TRUE(first.run({}));
  EXPECT_TRUE(same(first.state().weights, whole.weights));

  // Another seed's noise from there on
  Trainer other(small, correlated(1000, 1), Tensor(), options, 2, 1);
  other.restore(first.state());
  Trainer unlike(mlp(33), correlated(1000, 1), Tensor(), options, 1, 1);
  expect_error([&] { unlike.restore(first.state()); }, {"checkpoint", "network"});
}
INSTANTIATE_TEST_SUITE_P(Both, StoppedAndRestored, testing::Values(Optimiser::adamw, Optimiser::muon));

TEST(Trainer, ReportsEachStepAndWarmsUpAndDown) {
  Trainer trainer(small, correlated(100, 1), Tensor(), quick(40), 1, 1);
  std::vector<double> rates;
  EXPECT_TRUE(trainer.run([&](const Progress& p) {
    rates.push_back(p.learning_rate);
    EXPECT_EQ(p.done, static_cast<int64_t>(rates.size()));
    EXPECT_EQ(p.total, 40);
    EXPECT_TRUE(std::isfinite(p.loss) && p.gradient_norm > 0 && p.rows_per_second > 0);
    return Control::proceed;
  }));
  ASSERT_EQ(rates.size(), 40U);
  EXPECT_NEAR(rates[0], 5e-3 / 11, 1e-6);
  EXPECT_GT(rates[10], rates[9]);
  EXPECT_LT(rates[39], 0.01 * 5e-3);
  EXPECT_TRUE(std::is_sorted(rates.begin() + 10, rates.end(), std::greater<>()));
}

TEST(Trainer, StepsAreWhatFitsInTheMinutes) {
  TrainOptions options = quick(1);
  options.steps.reset();
  options.minutes = 1e-4;  // 6 ms
  Trainer trainer(small, correlated(100, 1), Tensor(), options, 1, 1);
  EXPECT_TRUE(trainer.run({}));
  EXPECT_GE(trainer.state().total_steps, 1);
  EXPECT_LT(trainer.state().total_steps, 1000);
  EXPECT_EQ(trainer.state().step, trainer.state().total_steps);
}

TEST(Trainer, DivergenceIsAnErrorAndLeavesFiniteWeights) {
  TrainOptions options = quick(50);
  options.learning_rate = 1e30;
  Trainer trainer(small, correlated(100, 1), Tensor(), options, 1, 1);
  expect_error([&] { trainer.run({}); }, {"train", "learning_rate", "1e+30"});
  for (const Weights* w : {&trainer.state().weights, &trainer.state().average}) {
    for (const Tensor& t : w->tensors()) EXPECT_TRUE(t.isfinite().all().item<bool>());
  }
}

TEST(Trainer, BadInputIsNamed) {
  const auto make = [](const Tensor& data, auto change) {
    return [=] {
      TrainOptions options = quick(5);
      change(options);
      Trainer(small, data, Tensor(), options, 1, 1);
    };
  };
  const Tensor data = correlated(20, 1);
  const auto nothing = [](TrainOptions&) {};
  Tensor bad = data.clone();
  bad[3][1] = NAN;
  expect_error(make(bad, nothing), {"data", "(3, 1)"});
  expect_error(make(at::ones({20, 2}), nothing), {"data", "equal"});
  expect_error(make(at::ones({0, 2}), nothing), {"data", "no rows"});
  expect_error(make(at::ones({20, 3}), nothing), {"data", "(20, 3)", "(2,)"});
  expect_error(make(at::arange(40, at::kLong).view({20, 2}), nothing), {"data", "Long"});
  expect_error(make(data, [](TrainOptions& o) { o.steps = 0; }), {"train.steps", "0"});
  expect_error(make(data, [](TrainOptions& o) { o.minutes = -1; }), {"train.minutes", "-1"});
  expect_error(make(data, [](TrainOptions& o) { o.batch = 0; }), {"train.batch", "0"});
  expect_error(make(data, [](TrainOptions& o) { o.learning_rate = NAN; }), {"train.learning_rate", "nan"});
  expect_error(make(data, [](TrainOptions& o) { o.gradient_clip = 0; }), {"train.gradient_clip", "0"});
  expect_error(make(data, [](TrainOptions& o) { o.warmup_steps = -1; }), {"train.warmup_steps", "-1"});
  expect_error(make(data, [](TrainOptions& o) { o.ema_ratio = NAN; }), {"train.ema_ratio", "nan"});
  expect_error(make(data, [](TrainOptions& o) { o.validation = 1; }), {"train.validation", "1"});
  expect_error(make(data, [](TrainOptions& o) { o.patience = 2; }), {"train.patience", "train.validation"});
  expect_error([] { DiffusionModel(make_network(MlpOptions{}, {2}), EdmObjective{.p_std = -1}, 1); },
               {"train.p_std", "-1"});
  expect_error([] { DiffusionModel(make_network(MlpOptions{}, {2}), EdmObjective{}, 0); },
               {"train.sigma_data", "0"});
}

}  // namespace
}  // namespace tweedie
