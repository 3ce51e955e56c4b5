// Energy-based models against the Gaussian whose bias by Langevin steps is known, and on a density of two
// modes.

#include "tweedie/energy.h"
#include "tweedie/metrics.h"
#include "tweedie/train.h"

#include "check_tensor.h"
#include "core/shape.h"
#include "io/energy_fields.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr double gamma_step = 0.1;

// Standardised data N(b, U diag(s) U^T) in 2-D, whose least variance is only a few steps
struct GaussianData {
  Tensor mean = at::tensor({0.3, -0.2}, at::kDouble), variance = at::tensor({1.5, 0.3}, at::kDouble),
         rotation = at::tensor({0.8, -0.6, 0.6, 0.8}, at::kDouble).view({2, 2});

  Tensor covariance() const { return rotation.matmul(at::diag(variance)).matmul(rotation.t()); }
  Tensor rows(int64_t n, uint64_t seed) const {
    return (mean + (normal({n, 2}, seed) * variance.sqrt()).matmul(rotation.t())).to(at::kFloat);
  }
  // Chains of N(b, P^{-1}) have variance 1 / (lambda (1 - gamma lambda / 2)) where P has lambda. It is s for
  // lambda = (1 - sqrt(1 - 2 gamma / s)) / gamma.
  Tensor biased_precisions() const { return (1 - (1 - 2 * gamma_step / variance).sqrt()) / gamma_step; }
  Tensor precision(const Tensor& eigenvalues) const {
    return rotation.matmul(at::diag(eigenvalues)).matmul(rotation.t());
  }
};

EnergyOptions quadratic_options() {
  EnergyOptions options;
  options.quadratic = true;
  options.step_size = gamma_step;
  options.langevin_steps = 5;
  options.reinitialise = 0;
  options.energy_l2 = 0;
  return options;
}

// The largest |mean / standard error| among the entries of the gradient at the Gaussian energy of these
// precisions, over replicates whose chains start as `start` says.
double largest_z(const EnergyOptions& options, const Tensor& precisions, const Tensor& start_variance) {
  const GaussianData truth;
  const EnergyTraining model(options, {2}, {});
  Weights weights;
  weights.add("mean", truth.mean.to(at::kFloat).requires_grad_());
  weights.add("factor", truth.rotation.matmul(at::diag(precisions.sqrt())).to(at::kFloat).requires_grad_());
  const Trainable::Loss loss = model.bind(weights, at::kFloat);
  constexpr int64_t replicates = 100, rows = 500;
  std::vector<Tensor> gradients;
  for (int64_t k = 0; k < replicates; ++k) {
    const uint64_t seed = 10 * static_cast<uint64_t>(k);
    GaussianData start = truth;
    start.variance = start_variance;
    const Tensor chains = start.rows(rows, seed + 1);
    Noise noise(seed + 2);
    const at::AutoGradMode gradients_on(true);
    loss({.x = truth.rows(rows, seed), .labels = {}, .chains = chains}, noise).backward();
    gradients.push_back(at::cat({weights["mean"].grad().flatten(), weights["factor"].grad().flatten()}));
    weights["mean"].mutable_grad().reset();
    weights["factor"].mutable_grad().reset();
  }
  const Tensor g = at::stack(gradients).to(at::kDouble);
  return (g.mean(0).abs() / (g.std(0) / std::sqrt(100.0))).max().item<double>();
}

TEST(QuadraticEnergy, IsStationaryWhereTheChainsHaveTheDatasMoments) {
  const GaussianData truth;
  const Tensor biased = truth.biased_precisions(), unbiased = truth.variance.reciprocal();
  EXPECT_LT(largest_z(quadratic_options(), biased, truth.variance), 4.5);
  // Without the bias of the steps, and with chains that hardly move from N(b, I)
  EXPECT_GT(largest_z(quadratic_options(), unbiased, truth.variance), 8);
  EnergyOptions idle = quadratic_options();
  idle.step_size = 1e-9;
  EXPECT_GT(largest_z(idle, biased, at::ones({2}, at::kDouble)), 8);
}

TrainOptions quick(int64_t steps, int64_t batch) {
  TrainOptions options;
  options.steps = steps;
  options.batch = batch;
  options.learning_rate = 1e-2;
  options.warmup_steps = 10;
  return options;
}

TrainState trained(const EnergyOptions& options, const TrainOptions& train, const Tensor& data,
                   const DataScale& scale = {}, int64_t threads = 1) {
  Trainer trainer(std::make_shared<EnergyTraining>(options, Shape{2}, scale), data, Tensor(), train, 1,
                  threads);
  EXPECT_TRUE(trainer.run({}));
  return trainer.state();
}

double relative_error(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

TEST(QuadraticEnergy, LearnsTheMoments) {
  const GaussianData truth;
  const Tensor exact = truth.precision(truth.biased_precisions());
  const auto learned = [&](EnergyOptions options) {
    options.chains = 1024;
    const TrainState state = trained(options, quick(300, 512), truth.rows(20000, 3));
    const Tensor factor = state.average["factor"].to(at::kDouble);
    return std::pair{state.average, factor.matmul(factor.t())};
  };
  const auto result = learned(quadratic_options());
  const Weights& weights = result.first;
  const Tensor& precision = result.second;
  // Moments of 20,000 rows of data are known to 1 %, those of the chains at the last steps to a few.
  EXPECT_LT(relative_error(precision, exact), 0.08);
  EXPECT_LT(max_difference(weights["mean"], truth.mean), 0.08);
  EXPECT_GT(relative_error(precision, truth.covariance().inverse()), 0.16);
  EnergyOptions contrastive = quadratic_options();
  contrastive.negatives = EnergyOptions::Negatives::contrastive;
  const double of_contrastive = relative_error(learned(contrastive).second, exact);
  EXPECT_LT(of_contrastive, 0.08);

  // ULA's draws have the moments that were learned with its bias, MALA's those of exp(-E). An estimate from n
  // draws has a relative error of about sqrt(3 / n) in 2-D.
  const int64_t n = 10000;
  const auto drawn_precision = [&](EnergyOptions::Sampler sampler) {
    EnergyOptions options = quadratic_options();
    options.sampler = sampler;
    options.sampler_steps = 60;
    const Tensor x = EnergyModel(options, {2}, {}, weights).sample(n, Noise(5), 1).to(at::kDouble);
    return at::cov(x.t()).inverse();
  };
  const double error = 4.5 * std::sqrt(3.0 / static_cast<double>(n));
  const Tensor ula = drawn_precision(EnergyOptions::Sampler::ula),
               mala = drawn_precision(EnergyOptions::Sampler::mala);
  EXPECT_LT(relative_error(ula, truth.covariance().inverse()), 0.08 + error);
  EXPECT_LT(relative_error(mala, precision), error);
  EXPECT_GT(relative_error(ula, precision), 2 * error);
}

// Three quarters at (-0.8, 0.8), one quarter at (0.8, -0.8), standard deviation 0.4; moved and scaled
Tensor two_modes(int64_t n, uint64_t seed) {
  const Tensor left = (Noise(seed).uniform({n, 1}, at::kFloat) < 0.75).to(at::kFloat) * 2 - 1;
  return 10 + 3 * (0.4 * normal({n, 2}, seed + 1, at::kFloat) + 0.8 * at::cat({-left, left}, 1));
}

TEST(EnergyModel, LearnsTwoModes) {
  const Tensor data = two_modes(20000, 1);
  const DataScale scale = data_scale(data);
  EnergyOptions options;
  options.width = 32;
  options.depth = 2;
  options.step_size = 0.05;
  options.langevin_steps = 10;
  options.chains = 512;
  options.sampler_steps = 200;
  TrainOptions train = quick(300, 256);
  train.learning_rate = 3e-3;
  const TrainState state = trained(options, train, data, scale);
  const Tensor fresh = two_modes(2000, 4);
  const auto distance = [&](const Tensor& x) { return sliced_wasserstein({x}, {fresh}) / scale.std; };
  const auto drawn = [&](const Weights& weights) {
    return EnergyModel(options, {2}, scale, weights).sample(2000, Noise(3), 1);
  };
  // In standard deviations of the data. Two samples of 2000 are 0.03 apart. Rejected: draws before training,
  // and of the Gaussian that has the data's moments.
  EXPECT_LT(distance(drawn(state.average)), 0.12);
  EXPECT_GT(distance(drawn(EnergyTraining(options, {2}, scale).initialise(Noise(1), {}))), 0.3);
  const Tensor gaussian =
      data.mean(0) + normal({2000, 2}, 9, at::kFloat).matmul(at::linalg_cholesky(at::cov(data.t())).t());
  EXPECT_GT(distance(gaussian), 0.15);

  const EnergyModel model(options, {2}, scale, state.average);
  const Tensor points = at::tensor({7.6, 12.4, 12.4, 7.6, 10.0, 10.0, 0.0, 0.0}).view({4, 2});
  const Tensor e = model.energy(points);
  EXPECT_LT(e[0].item<double>(), e[1].item<double>());
  EXPECT_LT(e[1].item<double>(), e[2].item<double>());
  EXPECT_LT(e[2].item<double>(), e[3].item<double>());
  EXPECT_FALSE(model.likelihood());
  EXPECT_FALSE(model.log_likelihood(points, Noise(1)));
}

bool same(const TrainState& a, const TrainState& b) {
  bool equal = at::equal(a.chains, b.chains);
  for (size_t i = 0; i < a.weights.size(); ++i) {
    equal = equal && at::equal(a.weights.tensors()[i], b.weights.tensors()[i]) &&
            at::equal(a.average.tensors()[i], b.average.tensors()[i]);
  }
  return equal;
}

TEST(EnergyTraining, ResumesBitForBitOnAnyNumberOfThreads) {
  EnergyOptions options;
  options.width = 8;
  options.depth = 1;
  options.langevin_steps = 3;
  options.chains = 1000;  // two parts of a batch
  const Tensor data = two_modes(2000, 1);
  const DataScale scale = data_scale(data);
  const TrainOptions train = quick(9, 600);  // three slices
  const TrainState whole = trained(options, train, data, scale),
                   threads = trained(options, train, data, scale, 2);
  EXPECT_EQ(whole.chains.size(0), 1200);
  EXPECT_TRUE(same(whole, threads));

  const auto model = std::make_shared<EnergyTraining>(options, Shape{2}, scale);
  Trainer first(model, data, Tensor(), train, 1, 1), second(model, data, Tensor(), train, 1, 2),
      without_chains(model, data, Tensor(), train, 1, 1);
  EXPECT_FALSE(first.run([](const Progress& p) { return p.done == 4 ? Control::stop : Control::proceed; }));
  TrainState saved = first.state();
  second.restore(saved);
  EXPECT_TRUE(second.run({}));
  EXPECT_TRUE(same(second.state(), whole));
  // The chains are part of the state.
  saved = first.state();
  saved.chains = model->chains(train.batch, data, Noise(99));
  without_chains.restore(saved);
  EXPECT_TRUE(without_chains.run({}));
  EXPECT_FALSE(same(without_chains.state(), whole));
}

TEST(EnergyTraining, AShareOfTheChainsStartsAnew) {
  EnergyOptions options;
  options.width = 8;
  options.langevin_steps = 1;
  options.step_size = 1e-6;
  const EnergyTraining model(options, {2}, {});
  const Tensor rows = normal({4000, 2}, 1, at::kFloat);
  const Weights weights = model.initialise(Noise(2), rows);
  const auto restarted = [&](double share, uint64_t seed) {
    EnergyOptions changed = options;
    changed.reinitialise = share;
    const EnergyTraining training(changed, {2}, {});
    const Tensor chains = at::full({4000, 2}, 100.0F);
    Noise noise(seed);
    training.bind(weights, at::kFloat)({.x = rows, .labels = {}, .chains = chains}, noise);
    return chains.select(1, 0).lt(50).to(at::kDouble).mean().item<double>();
  };
  EXPECT_NEAR(restarted(0.05, 1), 0.05, 4.5 * std::sqrt(0.05 * 0.95 / 4000));
  EXPECT_EQ(restarted(0, 1), 0);
  EXPECT_EQ(restarted(1, 1), 1);
  EnergyOptions contrastive = options;
  contrastive.negatives = EnergyOptions::Negatives::contrastive;
  EXPECT_FALSE(EnergyTraining(contrastive, {2}, {}).chains(10, rows, Noise(1)).defined());
}

// U is small at the start of training, so that draws are those of N(0, I) in standardised units.
TEST(EnergyModel, DrawsOfImagesDoNotDependOnTheThreads) {
  EnergyOptions options;
  options.width = 8;
  options.depth = 2;
  options.sampler_steps = 20;
  options.step_size = 0.1;
  const Shape shape{1, 6, 5};
  const DataScale scale{.mean = 3, .std = 2};
  const Weights weights = EnergyTraining(options, shape, scale).initialise(Noise(1), {});
  for (const auto sampler : {EnergyOptions::Sampler::ula, EnergyOptions::Sampler::mala}) {
    options.sampler = sampler;
    const EnergyModel model(options, shape, scale, weights);
    const Tensor x = model.sample(260, Noise(2), 1);
    EXPECT_TRUE(at::equal(x, model.sample(260, Noise(2), 2)));
    EXPECT_TRUE(at::equal(x.slice(0, 0, 7), model.sample(7, Noise(2), 1)));
    // 7800 numbers; ULA's variance is 1 / (1 - gamma / 2)
    const double variance = sampler == EnergyOptions::Sampler::ula ? 4 / (1 - 0.05) : 4;
    EXPECT_NEAR(x.mean().item<double>(), 3, 4.5 * 2 / std::sqrt(7800.0));
    EXPECT_NEAR(x.var().item<double>() / variance, 1, 4.5 * std::sqrt(2 / 7800.0));
  }
  EXPECT_EQ(EnergyModel(options, shape, scale, weights).energy(at::empty({0, 1, 6, 5})).size(0), 0);
}

TEST(EnergyModel, BadInputIsNamed) {
  const auto make = [](auto change, Shape shape = {2}, DataScale scale = {}) {
    return [=] {
      EnergyOptions options;
      change(options);
      EnergyTraining(options, shape, scale);
    };
  };
  expect_error(make([](EnergyOptions& o) { o.width = 0; }), {"model.width", "0"});
  expect_error(make([](EnergyOptions& o) { o.depth = 0; }), {"model.depth", "0"});
  expect_error(make([](EnergyOptions&) {}, {1, 3, 3}), {"model.depth", "(1, 3, 3)"});
  expect_error(make([](EnergyOptions& o) { o.langevin_steps = 0; }), {"model.langevin_steps", "0"});
  expect_error(make([](EnergyOptions& o) { o.chains = 0; }), {"model.chains", "0"});
  expect_error(make([](EnergyOptions& o) { o.sampler_steps = 0; }), {"model.sampler_steps", "0"});
  expect_error(make([](EnergyOptions& o) { o.step_size = 2; }), {"model.step_size", "2"});
  expect_error(make([](EnergyOptions& o) { o.reinitialise = NAN; }), {"model.reinitialise", "nan"});
  expect_error(make([](EnergyOptions& o) { o.energy_l2 = -1; }), {"model.energy_l2", "-1"});
  expect_error(make([](EnergyOptions&) {}, {2}, {.mean = 0, .std = 0}), {"scale"});
  EnergyOptions options;
  const Weights weights = EnergyTraining(options, {2}, {}).initialise(Noise(1), {});
  expect_error([&] { EnergyModel(options, {3}, {}, weights); }, {"weights"});
  expect_error([&] { EnergyModel(options, {2}, {}, weights).energy(at::ones({4, 3})); }, {"x", "(4, 3)"});

  // A Gaussian too narrow for its step
  options.quadratic = true;
  options.step_size = 1;
  Weights narrow;
  narrow.add("mean", at::zeros({2}));
  narrow.add("factor", 5 * at::eye(2));
  expect_error([&] { EnergyModel(options, {2}, {}, narrow).sample(1, Noise(1), 1); },
               {"model.step_size", "1"});
}

}  // namespace
}  // namespace tweedie
