// Normalising flows: inverses, determinants and densities against autograd and closed forms.
#include "tweedie/normalising_flow.h"
#include "tweedie/train.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

const RealNvpOptions small_nvp{.layers = 5, .width = 16, .depth = 2};
const GlowOptions small_glow{.levels = 2, .steps = 3, .width = 8};

struct Case {
  const char* name;
  FlowOptions options;
  Shape shape;
};
const Case cases[] = {{"two", small_nvp, {2}},
                      {"odd", small_nvp, {7}},
                      {"grey", small_glow, {1, 4, 4}},
                      {"channels", GlowOptions{.levels = 1, .steps = 2, .width = 8}, {2, 4, 4}},
                      {"oblong", small_glow, {3, 4, 8}}};

Tensor some_rows(const Case& c, int64_t rows, at::ScalarType dtype = at::kDouble) {
  Shape shape = c.shape;
  shape.insert(shape.begin(), rows);
  return normal(shape, 1, dtype);
}

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

// A start of which every array is then moved, so that nothing is zero or the identity: not far, as the flow
// must stay well-conditioned for its inverse to have digits
Weights random_weights(const NormalisingFlow& flow, const Tensor& rows, at::ScalarType dtype) {
  Weights start = flow.initialise(Noise(3), rows.to(at::kFloat));
  std::vector<Tensor> moved;
  for (size_t i = 0; i < start.size(); ++i) {
    const Tensor& w = start.tensors()[i];
    const double of_nets = 0.25 / std::sqrt(static_cast<double>(w.numel() / w.size(0))), others = 0.05;
    moved.push_back((w + (w.dim() == 4 ? of_nets : others) * normal(w.sizes(), 100 + i)).to(dtype));
  }
  return start.with(moved);
}

class EachFlow : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Flows, EachFlow, testing::ValuesIn(cases),
                         [](const auto& info) { return std::string(info.param.name); });

TEST_P(EachFlow, InvertsBothWays) {
  for (const auto dtype : {at::kFloat, at::kDouble}) {
    const double tolerance = dtype == at::kFloat ? 1e-5 : 1e-10;
    const Tensor x = some_rows(GetParam(), 50, dtype);
    const auto flow = make_flow(GetParam().options, GetParam().shape);
    const auto f = flow->bind(random_weights(*flow, x, dtype));
    const Tensor z = f->forward(x).z;
    EXPECT_EQ(z.scalar_type(), dtype);
    EXPECT_GT(max_difference(z, x.reshape(z.sizes())), 0.5);
    EXPECT_LT(max_difference(f->inverse(z), x), tolerance);
    const Tensor other = normal(z.sizes(), 2, dtype), of_other = f->inverse(other);
    const double largest = std::max(1.0, of_other.abs().max().item<double>());
    EXPECT_LT(max_difference(f->forward(of_other).z, other), tolerance * largest);
  }
}

// log |det dz/dx| of one row by autograd
double log_det_by_autograd(const Bijection& f, const Tensor& row) {
  const at::AutoGradMode gradients(true);
  const Tensor x = row.unsqueeze(0).detach().requires_grad_();
  const Tensor z = f.forward(x).z;
  std::vector<Tensor> jacobian;
  for (int64_t i = 0; i < z.size(1); ++i)
    jacobian.push_back(torch::autograd::grad({z[0][i]}, {x}, {}, true)[0].flatten());
  return std::get<1>(at::linalg_slogdet(at::stack(jacobian))).item<double>();
}

// What log |det| lacks if the 1 x 1 convolutions are counted once, not at each of H x W pixels
double left_out(const Weights& weights, const Shape& shape) {
  double result = 0;
  for (size_t i = 0; i < weights.size(); ++i) {
    const std::string& name = weights.names()[i];
    if (name.find("log_diagonal") == std::string::npos) continue;
    const int64_t side = int64_t{1} << (name[5] - '0' + 1);  // "level0..."
    const int64_t pixels = shape[1] / side * (shape[2] / side);
    result += static_cast<double>(pixels - 1) * weights.tensors()[i].sum().item<double>();
  }
  return result;
}

TEST_P(EachFlow, DeterminantIsThatOfTheJacobian) {
  const Tensor x = some_rows(GetParam(), 3);
  const auto flow = make_flow(GetParam().options, GetParam().shape);
  const Weights weights = random_weights(*flow, x, at::kDouble);
  const auto f = flow->bind(weights);
  const Tensor log_det = f->forward(x).log_det;
  EXPECT_GT(log_det.std().item<double>(), 0.05);  // couplings do something
  for (int64_t i = 0; i < x.size(0); ++i) {
    const double truth = log_det_by_autograd(*f, x[i]);
    EXPECT_NEAR(log_det[i].item<double>(), truth, 1e-9);
    if (GetParam().shape.size() == 3)
      EXPECT_GT(std::abs(log_det[i].item<double>() - left_out(weights, GetParam().shape) - truth), 0.1);
  }
}

TEST_P(EachFlow, Float32IsAsFloat64) {
  const Tensor x = some_rows(GetParam(), 20);
  const auto flow = make_flow(GetParam().options, GetParam().shape);
  const auto with_gradient = [&](at::ScalarType dtype) {
    const at::AutoGradMode gradients(true);
    const Weights weights = random_weights(*flow, x, dtype);
    std::vector<Tensor> leaves;
    for (const Tensor& w : weights.tensors()) leaves.push_back(w.detach().requires_grad_());
    const Tensor log_density = flow->bind(weights.with(leaves))->log_density(x.to(dtype));
    std::vector<Tensor> result = torch::autograd::grad({log_density.sum()}, leaves);
    result.push_back(log_density.detach());
    return result;
  };
  const auto single = with_gradient(at::kFloat), exact = with_gradient(at::kDouble);
  for (size_t i = 0; i < exact.size(); ++i)
    EXPECT_LT(max_difference(single[i], exact[i]), 1e-4 * (1 + exact[i].abs().max().item<double>()));
}

// Channels of a scale and mean of their own, one of equal numbers. After the first normalisation, which is
// all that a flow of one coupling does at its start, they have mean 0 and variance 1.
TEST(RealNvp, StartsFromTheDataAtUnitVariance) {
  Tensor rows = normal({500, 4}, 1, at::kFloat) * at::tensor({1e-3F, 1.0F, 50.0F, 0.0F}) +
                at::tensor({0.0F, -3.0F, 1000.0F, 2.0F});
  const auto flow = make_flow(RealNvpOptions{.layers = 3, .width = 8}, {4});
  const Tensor z = flow->bind(flow->initialise(Noise(1), rows))->forward(rows).z;
  const Tensor std = std::get<0>(z.std(0, false).sort());
  EXPECT_LT(max_difference(z.mean(0), at::zeros({4})), 1e-4);
  EXPECT_LT(max_difference(std, at::tensor({0.0F, 1.0F, 1.0F, 1.0F})), 1e-4);
  const Tensor wrong = flow->bind(flow->initialise(Noise(1), Tensor()))->forward(rows).z;
  EXPECT_GT(wrong.std(0, false).max().item<double>(), 40);
}

TEST(Glow, StartsFromTheDataAtUnitVariance) {
  const Tensor rows = 5 + 0.1 * normal({300, 2, 4, 4}, 1, at::kFloat).cumsum(3);
  const auto flow = make_flow(GlowOptions{.levels = 1, .steps = 2, .width = 8}, {2, 4, 4});
  const auto z_of = [&](const Tensor& from) {
    const Tensor z = flow->bind(flow->initialise(Noise(1), from))->forward(rows).z;
    return z.reshape({300, 4, 8});  // pixels, channels
  };
  // A rotation of what has variance 1 has trace C, pixels and rows together.
  EXPECT_NEAR(z_of(rows).square().mean().item<double>(), 1, 1e-3);
  EXPECT_LT(z_of(rows).mean(at::IntArrayRef{0, 1}).abs().max().item<double>(), 1e-3);
  EXPECT_GT(z_of(Tensor()).square().mean().item<double>(), 20);
}

// The integral of exp(log p) over a grid that holds all of the mass: spectrally exact for what is smooth
double integral(const Bijection& f, double wrong) {
  const int64_t n = 481;
  const double half = 12, step = 2 * half / (n - 1);
  const Tensor t = at::linspace(-half, half, n, at::kDouble);
  const Tensor x = at::stack({t.unsqueeze(1).expand({n, n}), t.unsqueeze(0).expand({n, n})}, 2).view({-1, 2});
  const Tensor log_density = f.log_density(x) + wrong * f.forward(x).log_det;
  return log_density.exp().sum().item<double>() * step * step;
}

TEST(RealNvp, DensityIntegratesToOne) {
  const auto flow = make_flow(RealNvpOptions{.layers = 3, .width = 8, .scale_bound = 1}, {2});
  const auto f = flow->bind(random_weights(*flow, normal({100, 2}, 1), at::kDouble));
  EXPECT_NEAR(integral(*f, 0), 1, 1e-3);
  EXPECT_GT(std::abs(integral(*f, -2) - 1), 0.05);  // the determinant of the inverse, a common mistake
}

// Two numbers of standard deviations 2 and 1 and correlation 0.9, about (5, -1)
constexpr double rho = 0.9;
Tensor correlated(int64_t n, uint64_t seed) {
  const Tensor z = normal({n, 2}, seed, at::kFloat);
  const Tensor second = rho * z.select(1, 0) + std::sqrt(1 - rho * rho) * z.select(1, 1);
  return at::stack({5 + 2 * z.select(1, 0), second - 1}, 1);
}
const double entropy =
    std::log(2 * std::numbers::pi * std::numbers::e) + std::log(2 * std::sqrt(1 - rho * rho));

const FlowOptions trained_options = RealNvpOptions{.layers = 4, .width = 32};

const Weights& trained() {
  static const Weights result = [] {
    TrainOptions options;
    options.steps = 300;
    options.batch = 256;
    options.learning_rate = 5e-3;
    options.warmup_steps = 20;
    Trainer trainer(std::make_shared<FlowModel>(trained_options, Shape{2}), correlated(20000, 1), Tensor(),
                    options, 1, 1);
    trainer.run({});
    return trainer.result().clone();
  }();
  return result;
}

double mean_of(const LogLikelihood& values) {
  return values.nats.mean().item<double>();
}

TEST(RealNvp, TrainedOnAGaussianReachesTheEntropy) {
  const FlowDistribution flow(trained_options, {2}, trained());
  const int64_t n = 20000;
  const Tensor fresh = correlated(n, 2);
  // -log p(x) has variance d / 2 = 1.
  const double error = 4.5 / std::sqrt(static_cast<double>(n));
  const auto ours = flow.log_likelihood(fresh, Noise(1));
  ASSERT_TRUE(ours && ours->kind == LikelihoodKind::exact);
  EXPECT_GT(-mean_of(*ours), entropy - error);
  EXPECT_LT(-mean_of(*ours), entropy + 0.02 + error);  // KL of what it has learned
  const auto f = make_flow(trained_options, {2})->bind(trained());
  EXPECT_LT(max_difference(f->inverse(f->forward(fresh).z), fresh), 1e-5);
  // What knows the variances but not the correlation: KL = -ln(1 - rho^2) / 2
  const FlowModel model(trained_options, {2});
  const FlowDistribution start(trained_options, {2}, model.initialise(Noise(1), correlated(1000, 1)));
  EXPECT_GT(-mean_of(*start.log_likelihood(fresh, Noise(1))), entropy + 0.7);
}

TEST(RealNvp, SamplesFollowTheDensity) {
  const FlowDistribution flow(trained_options, {2}, trained());
  const int64_t n = 20000;
  const Tensor draws = flow.sample(n, Noise(4));
  const double own = mean_of(*flow.log_likelihood(draws, Noise(1)));
  // Two means of n numbers of variance about 1 each, one of each law; their KL is below 0.02
  const double error = 4.5 * std::sqrt(2.0 / static_cast<double>(n));
  EXPECT_NEAR(own, mean_of(*flow.log_likelihood(correlated(n, 5), Noise(1))), 0.03 + error);
  const Tensor covariance = draws.t().cov();
  EXPECT_NEAR(covariance[0][1].item<double>() / 2, rho, 0.08);
  // 1.2 times as wide is not of this density.
  const Tensor wider = draws.mean(0) + 1.2 * (draws - draws.mean(0));
  EXPECT_GT(std::abs(mean_of(*flow.log_likelihood(wider, Noise(1))) - own), 0.3);
}

TEST(Flows, DoNotDependOnThreadsOrNumber) {
  for (const Case& c : {cases[0], cases[1], cases[2]}) {
    const auto flow = make_flow(c.options, c.shape);
    const FlowDistribution model(c.options, c.shape, random_weights(*flow, some_rows(c, 100), at::kFloat));
    const Tensor many = model.sample(600, Noise(5), 1);
    EXPECT_TRUE(at::equal(many, model.sample(600, Noise(5), 2)));
    EXPECT_TRUE(at::equal(many.slice(0, 0, 7), model.sample(7, Noise(5), 2)));
    EXPECT_FALSE(at::equal(many, model.sample(600, Noise(6), 1)));
    const Tensor one = model.log_likelihood(many, Noise(1), 1)->nats;
    EXPECT_TRUE(at::equal(one, model.log_likelihood(many, Noise(1), 2)->nats));
    EXPECT_TRUE(at::equal(one.slice(0, 0, 7), model.log_likelihood(many.slice(0, 0, 7), Noise(1), 2)->nats));
  }
}

TEST(Flows, WhatIsTooFarOutHasDensityZero) {
  const auto flow = make_flow(small_nvp, {2});
  const FlowDistribution model(small_nvp, {2}, random_weights(*flow, normal({100, 2}, 1), at::kFloat));
  const Tensor far = at::tensor({1e30F, -1e30F, 3e38F, 3e38F, 0.0F, 3e38F, 1.0F, 0.0F}).view({4, 2});
  const Tensor nats = model.log_likelihood(far, Noise(1))->nats;
  EXPECT_TRUE(nats.slice(0, 0, 3).isneginf().all().item<bool>());
  EXPECT_TRUE(nats[3].isfinite().item<bool>());
}

// Uniform grey levels: P = 1 / 4 for each of d numbers, so that no model has below 2 bits, and a fair one of
// continuous data (no noise) has any number.
TEST(Flows, DequantisedLikelihoodIsABoundInBits) {
  const double grey = 2.0 / 3;
  const Tensor levels = -1 + grey * (4 * Noise(9).uniform({4000, 1, 2, 2}, at::kFloat)).floor();
  const GlowOptions options{.levels = 1, .steps = 2, .width = 16, .dequantise = grey};
  TrainOptions train;
  train.steps = 100;
  train.learning_rate = 3e-3;
  train.warmup_steps = 10;
  Trainer trainer(std::make_shared<FlowModel>(options, Shape{1, 2, 2}), levels, Tensor(), train, 1, 1);
  double last = 0;
  trainer.run([&](const Progress& p) {
    last = p.loss;
    return Control::proceed;
  });
  const auto bits = [&](const GlowOptions& o) {
    const FlowDistribution model(o, {1, 2, 2}, trainer.result());
    const auto values = model.log_likelihood(levels, Noise(1));
    EXPECT_EQ(values->kind, o.dequantise ? LikelihoodKind::elbo : LikelihoodKind::exact);
    return bits_per_dimension(mean_of(*values), 4, grey);
  };
  // The best Gaussian on the uniform density has ln(2 pi e / 12) / 2 / ln 2 = 0.25 bits more.
  EXPECT_GT(bits(options), 2 - 0.02);
  EXPECT_LT(bits(options), 2 + 0.3);
  EXPECT_NEAR(bits_per_dimension(-4 * last, 4, grey), bits(options), 0.15);  // a batch's mean of the loss
  EXPECT_DOUBLE_EQ(bits_per_dimension(-std::log(8.0), 3, 0.5), 2);
}

TEST(Flows, BadInputIsNamed) {
  const auto nvp = [](RealNvpOptions o, Shape shape = {2}) { return [=] { make_flow(o, shape); }; };
  const auto glow = [](GlowOptions o, Shape shape = {1, 4, 4}) { return [=] { make_flow(o, shape); }; };
  expect_error(nvp({.layers = 0}), {"model.layers", "0"});
  expect_error(nvp({.width = 0}), {"model.width", "0"});
  expect_error(nvp({.depth = 0}), {"model.depth", "0"});
  expect_error(nvp({.scale_bound = NAN}), {"model.scale_bound", "nan"});
  expect_error(nvp({.dequantise = 0}), {"model.dequantise", "0"});
  expect_error(nvp({}, {1}), {"data", "(1,)", "at least 2"});
  expect_error(glow({.levels = 0}), {"model.levels", "0"});
  expect_error(glow({.steps = 0}), {"model.steps", "0"});
  expect_error(glow({.width = -1}), {"model.width", "-1"});
  expect_error(glow({.scale_bound = 0}), {"model.scale_bound", "0"});
  expect_error(glow({}, {16}), {"data", "(16,)", "(C, H, W)"});
  expect_error(glow({.levels = 3}), {"model.levels", "3", "4 x 4", "2 times"});
  expect_error(glow({.levels = 2}, {1, 6, 4}), {"model.levels", "6 x 4", "1 time only"});

  const auto flow = make_flow(small_nvp, {3});
  const Weights weights = flow->initialise(Noise(1), Tensor());
  const auto f = flow->bind(weights);
  expect_error([&] { f->forward(at::zeros({4, 2})); }, {"x", "(4, 2)", "(3,)"});
  expect_error([&] { f->inverse(at::zeros({4, 2})); }, {"z", "(4, 2)"});
  expect_error([&] { f->forward(at::zeros({4, 3}, at::kLong)); }, {"x", "Long"});
  expect_error([&] { FlowDistribution(small_nvp, {2}, weights); }, {"weights", "layer0.norm.log_scale"});
  expect_error([&] { FlowDistribution(small_glow, {1, 4, 4}, weights); }, {"weights", "level0"});
}

}  // namespace
}  // namespace tweedie
