// The classifier of noisy rows against the posterior of a mixture's components.

#include "tweedie/heun.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/noisy_classifier.h"
#include "tweedie/train.h"

#include "check_tensor.h"
#include "io/classifier_fields.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr double sigma_data = 1.5;

MixturePrior three_components() {
  return MixturePrior::isotropic(at::tensor({0.5, 0.3, 0.2}, at::kDouble),
                                 at::tensor({-1.5, 0.0, 1.5, 0.5, 0.5, -2.0}, at::kDouble).view({3, 2}),
                                 at::tensor({0.6, 0.8, 0.5}, at::kDouble));
}

struct Labelled {
  Tensor x, labels;
};

// Labels drawn given x have the law of the components that x was drawn from.
Labelled labelled(int64_t n, uint64_t seed) {
  const MixturePrior prior = three_components();
  Noise noise(seed);
  const Tensor x = prior.sample(n, noise), u = noise.uniform({n, 1}, at::kDouble),
               r = prior.responsibilities(x, at::full({}, 1e-6, at::kDouble));
  return {x.to(at::kFloat), (r.cumsum(1) < u).sum(1).clamp_max(2)};
}

NoisyClassifier trained(const NoisyClassifierOptions& options) {
  const auto model = std::make_shared<NoisyClassifierTraining>(options, Shape{2}, 3, sigma_data);
  TrainOptions train;
  train.steps = 700;
  train.batch = 256;
  train.learning_rate = 5e-3;
  train.warmup_steps = 20;
  const auto [x, labels] = labelled(20000, 1);
  Trainer trainer(model, x, labels, train, 1, 1);
  EXPECT_TRUE(trainer.run({}));
  return {options, {2}, 3, sigma_data, trainer.result()};
}

// Mean and standard error of KL(posterior | classifier) over x_sigma, in nats
std::pair<double, double> divergence(const NoisyClassifier& classifier, double sigma) {
  constexpr int64_t n = 4000;
  const MixturePrior prior = three_components();
  Noise noise(2);
  const Tensor x = prior.sample(n, noise) + sigma * normal({n, 2}, 3),
               level = at::full({}, sigma, at::kDouble), r = prior.responsibilities(x, level);
  const Tensor kl = (r * (r.clamp_min(1e-300).log() - classifier.log_probs(x, level))).sum(1);
  return {kl.mean().item<double>(), kl.std().item<double>() / std::sqrt(static_cast<double>(n))};
}

// Root mean square error of the guided denoiser of component k over that of the denoiser without guidance
double guidance_error(const NoisyClassifier& classifier, int64_t k, double sigma) {
  const auto prior = std::make_shared<const MixturePrior>(three_components());
  const Tensor mean = prior->means()[k], variance = prior->covariances()[k].diagonal();
  Noise noise(4);
  const Tensor x = prior->sample(2000, noise) + sigma * normal({2000, 2}, 5),
               exact = mean + variance / (variance + sigma * sigma) * (x - mean);
  const auto guided = classifier_guided(
      1, prior, std::make_shared<NoisyClassifier>(classifier.labelled(at::full({1}, k, at::kLong))));
  const auto error = [&](const Denoiser& denoiser) {
    return (denoiser.mean(x, sigma) - exact).norm().item<double>();
  };
  return error(*guided) / error(*prior);
}

TEST(NoisyClassifier, ApproachesThePosteriorOfTheLabel) {
  const NoisyClassifierOptions options{.width = 32, .depth = 2, .p_mean = 0, .p_std = 1.2};
  NoisyClassifierOptions clean = options;
  clean.clean_fraction = 1;
  const NoisyClassifier noisy = trained(options), of_clean_rows = trained(clean);
  for (const double sigma : {0.1, 0.5, 2.0, 5.0}) {
    const auto [kl, error] = divergence(noisy, sigma);
    EXPECT_LT(kl, 0.006 + 4.5 * error) << sigma;
    EXPECT_GT(kl, -4.5 * error) << sigma;
  }
  const auto [kl, error] = divergence(of_clean_rows, 2);
  EXPECT_GT(kl, 0.2 + 4.5 * error);
  EXPECT_LT(divergence(of_clean_rows, 2e-3).first, 0.04);

  // Guidance by it is the component's own denoiser, nearly.
  for (int64_t k = 0; k < 3; ++k) {
    EXPECT_LT(guidance_error(noisy, k, 2), 0.25) << k;
    EXPECT_GT(guidance_error(of_clean_rows, k, 2), 1) << k;
  }

  // The most probable label is right as often as the exact posterior's is, up to the spread of 4000 rows.
  const auto [x, labels] = labelled(4000, 7);
  const Tensor tiny = at::full({}, 1e-2, at::kFloat);
  const double exact = std::get<0>(three_components().responsibilities(x, tiny).max(1)).mean().item<double>();
  EXPECT_NEAR(of_clean_rows.accuracy(x, labels, tiny), exact, 4.5 * 0.5 / std::sqrt(4000.0));
  EXPECT_LT(of_clean_rows.accuracy(x, (labels + 1) % 3, tiny), 0.5);
}

// Draws by guidance of scale 1 from sigma = 80, far beyond what the classifier has learned: their mean and
// standard deviation are the component's own, up to a network's errors (0.1 is 4.5 standard errors).
TEST(NoisyClassifier, GuidesDrawsToTheComponent) {
  const NoisyClassifier classifier =
      trained({.width = 32, .depth = 2, .p_mean = -1.2, .p_std = 1.2}).labelled(at::full({1}, 2, at::kLong));
  const double largest = classifier.largest_sigma();
  EXPECT_NEAR(largest, std::exp(1.2), 1e-6);
  // What may be done beyond: no guidance, or the gradient without its fall
  class Wrong final : public Classifier {
   public:
    Wrong(NoisyClassifier known, double factor) : known_(std::move(known)), factor_(factor) {}

   protected:
    Tensor do_log_prob(const Tensor&, const Tensor&) const override { return {}; }
    Tensor do_gradient(const Tensor& x, const Tensor& sigma) const override {
      const Tensor known = sigma.clamp_max(known_.largest_sigma());
      const Tensor gradient = known_.gradient(x * (known / sigma), known);
      return at::equal(known, sigma) ? gradient : factor_ * gradient;
    }

   private:
    NoisyClassifier known_;
    double factor_;
  };
  const auto prior = std::make_shared<const MixturePrior>(three_components());
  constexpr int64_t rows = 2000, steps = 48;
  const auto draws = [&](std::shared_ptr<const Classifier> of) {
    const auto guided = classifier_guided(1, prior, std::move(of));
    const NoiseSchedule schedule = make_schedule(Karras{}, steps);
    Noise noise(9);
    return walk(*guided, Heun({}, steps), schedule, schedule.initial_std * normal({rows, 2}, 10), noise);
  };
  const Tensor mean = prior->means()[2], std = prior->covariances()[2].diagonal().sqrt();
  const auto off = [&](const Tensor& x) { return ((x.mean(0) - mean) / std).abs().max().item<double>(); };
  const Tensor ours = draws(std::make_shared<NoisyClassifier>(classifier));
  EXPECT_LT(off(ours), 0.25);
  EXPECT_LT(max_difference(ours.std(0) / std, at::ones({2})), 0.25);
  for (const double factor : {0.0, 1.0})
    EXPECT_GT(off(draws(std::make_shared<Wrong>(classifier, factor))), 0.4) << factor;
}

TEST(NoisyClassifier, GradientIsThatOfItsLogProb) {
  for (const Shape& shape : {Shape{3}, Shape{2, 8, 12}}) {
    const NoisyClassifierOptions options{.width = 16, .depth = 2, .p_mean = 0, .p_std = 3};
    const NoisyClassifierTraining model(options, shape, 4, 1);
    Weights weights = model.initialise(Noise(1), {});
    std::vector<Tensor> tensors;  // the last layer is 0 at the start
    for (const Tensor& t : weights.tensors())
      tensors.push_back(t + 0.3 * Noise(2).normal(t.sizes(), at::kFloat));
    weights = weights.with(tensors);
    const NoisyClassifier classifier =
        NoisyClassifier(options, shape, 4, 1, weights).labelled(at::full({1}, 2, at::kLong));
    Shape batch = shape;
    batch.insert(batch.begin(), 5);
    const Tensor x = normal(batch, 3, at::kFloat), v = normal(batch, 4, at::kFloat),
                 sigma = at::tensor({0.01, 0.3, 1.0, 3.0, 80.0}, at::kFloat);
    EXPECT_LT(max_difference(classifier.log_probs(x, sigma).exp().sum(1), at::ones({5})), 1e-5);
    EXPECT_TRUE(at::equal(classifier.log_probs(x, sigma).select(1, 2), classifier.log_prob(x, sigma)));
    // The difference quotient over h has an error of order h^2 and of float32's rounding over h.
    const double h = 1e-2;
    const Tensor slope = (classifier.log_prob(x + h * v, sigma) - classifier.log_prob(x - h * v, sigma)) /
                         (2 * h),
                 exact = (classifier.gradient(x, sigma) * v).flatten(1).sum(1);
    EXPECT_LT(max_difference(slope, exact), 2e-3);
    EXPECT_GT(exact.abs().max().item<double>(), 0.04);
  }
}

TEST(NoisyClassifier, TrainingDoesNotDependOnTheThreadsAndHasALossByLevel) {
  const auto model = std::make_shared<NoisyClassifierTraining>(
      NoisyClassifierOptions{.width = 8, .depth = 2, .clean_fraction = 0.2}, Shape{1, 6, 6}, 2, 1.0);
  const Tensor x = normal({300, 1, 6, 6}, 1, at::kFloat), labels = (x.mean({1, 2, 3}) > 0).to(at::kLong);
  const auto run = [&](int64_t threads) {
    TrainOptions train;
    train.steps = 6;
    train.batch = 500;  // three slices
    train.validation = 0.1;
    Trainer trainer(model, x, labels, train, 1, threads);
    EXPECT_TRUE(trainer.run({}));
    return std::pair{trainer.result(), trainer.state().validations.back()};
  };
  const auto [one, seen] = run(1);
  const auto two = run(2).first;
  for (size_t i = 0; i < one.size(); ++i) EXPECT_TRUE(at::equal(one.tensors()[i], two.tensors()[i]));
  const std::vector<double> levels = model->levels();
  ASSERT_EQ(seen.by_level.size(), levels.size());
  EXPECT_TRUE(std::is_sorted(levels.begin(), levels.end()));
  for (const double loss : seen.by_level) EXPECT_NEAR(loss, std::log(2.0), 0.3);  // nats a row
}

TEST(NoisyClassifier, BadInputIsNamed) {
  const auto make = [](NoisyClassifierOptions o, int64_t classes = 3, double sd = 1, Shape shape = {2}) {
    return [=] { NoisyClassifierTraining(o, shape, classes, sd); };
  };
  expect_error(make({.width = 0}), {"model.width", "0"});
  expect_error(make({.depth = 0}), {"model.depth", "0"});
  expect_error(make({.depth = 4}, 3, 1, {1, 7, 9}), {"model.depth", "(1, 7, 9)", "3 times"});
  expect_error(make({.p_mean = NAN}), {"model.p_mean"});
  expect_error(make({.p_std = -1}), {"model.p_std", "-1"});
  expect_error(make({.clean_fraction = 1.5}), {"model.clean_fraction", "1.5"});
  expect_error(make({}, 1), {"model.classes", "1"});
  expect_error(make({}, 3, 0), {"model.sigma_data", "0"});
  const NoisyClassifierTraining model({}, {2}, 3, 1);
  const Weights weights = model.initialise(Noise(1), {});
  const auto loss = model.bind(weights, at::kFloat);
  Noise noise(1);
  const Tensor x = at::ones({2, 2});
  expect_error([&] { loss({.x = x}, noise); }, {"data.labels", "none"});
  expect_error(
      [&] {
        loss({.x = x, .labels = at::tensor({0, 3}, at::kLong)}, noise);
      },
      {"data.labels", "3", "0 to 2"});
  expect_error([&] { NoisyClassifier({.width = 9}, {2}, 3, 1, weights); }, {"weights"});
  expect_error([&] { NoisyClassifier({}, {2}, 3, 1, weights, 3); }, {"label", "0 to 2"});
  const NoisyClassifier classifier({}, {2}, 3, 1, weights);
  expect_error([&] { classifier.log_probs(at::ones({2, 3}), at::ones({})); }, {"classifier.x", "(2, 3)"});
  expect_error([&] { classifier.log_probs(x, at::zeros({2})); }, {"classifier.sigma", "0"});
}

}  // namespace
}  // namespace tweedie
