#include "core/workers.h"
#include "network_tiny.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {
namespace {

struct Named {
  const char* name;
  Shape shape;
  NetworkOptions options;
};

class EveryNetwork : public testing::TestWithParam<Named> {
 protected:
  Shape batch(int64_t rows) const {
    Shape result = network->shape();
    result.insert(result.begin(), rows);
    return result;
  }
  std::shared_ptr<const Network> network = make_network(GetParam().options, GetParam().shape);
};

INSTANTIATE_TEST_SUITE_P(
    Kinds, EveryNetwork,
    testing::Values(
        Named{"UNet", {1, 8, 8}, UNetOptions{.channels = 8, .multipliers = {1, 2}, .blocks = 1}},
        Named{"UNetOfOnePixel", {2, 1, 1}, UNetOptions{.channels = 4, .multipliers = {1}, .blocks = 1}},
        Named{"UNetNonSquareColour",
              {3, 6, 10},
              UNetOptions{.channels = 12, .multipliers = {1, 3}, .blocks = 2, .attention = {3, 6}}},
        Named{"UNetOddSides", {1, 7, 5}, UNetOptions{.channels = 8, .multipliers = {2, 1, 3}, .blocks = 1}},
        Named{"UNetOfPatches",
              {3, 12, 8},
              UNetOptions{.channels = 8, .multipliers = {1, 1}, .blocks = 1, .attention = {3}, .patch = 2}},
        Named{"Mlp", {5}, MlpOptions{.width = 16, .depth = 2}},
        Named{"MlpOfImages", {2, 3, 2}, MlpOptions{.width = 7, .depth = 1}},
        Named{"MlpOfFrequencies", {3}, MlpOptions{.width = 16, .depth = 1, .frequencies = 4}},
        Named{"Dit", {1, 8, 8}, DitOptions{.patch = 2, .width = 16, .depth = 2, .heads = 2}},
        Named{"DitNonSquareColour", {3, 4, 6}, DitOptions{.patch = 1, .width = 12, .depth = 1, .heads = 3}},
        Named{"DitOfOneToken", {2, 2, 2}, DitOptions{.patch = 2, .width = 8, .depth = 1, .heads = 1}}),
    [](const auto& info) { return info.param.name; });

TEST_P(EveryNetwork, BeginsAtZeroAndKeepsTheShape) {
  const Weights start = network->initialise(Noise(1));
  const Tensor x = normal(batch(3), 3, at::kFloat), c_noise = normal({3}, 4, at::kFloat);
  EXPECT_EQ(network->shape(), GetParam().shape);
  const Tensor y = network->forward(start, x, c_noise);
  EXPECT_EQ(y.sizes(), x.sizes());
  EXPECT_EQ(y.abs().max().item<float>(), 0);
  EXPECT_GT(network->forward(perturbed(*network), x, c_noise).abs().max().item<float>(), 0.01);
  EXPECT_GT(network->flops(), 0);
}

TEST_P(EveryNetwork, InitialWeightsAreAFunctionOfTheSeed) {
  const Weights a = network->initialise(Noise(1)), b = network->initialise(Noise(1)),
                c = network->initialise(Noise(2));
  bool differs = false;
  for (size_t i = 0; i < a.size(); ++i) {
    EXPECT_EQ(a.tensors()[i].scalar_type(), at::kFloat);
    EXPECT_TRUE(at::equal(a.tensors()[i], b.tensors()[i]));
    differs = differs || !at::equal(a.tensors()[i], c.tensors()[i]);
  }
  EXPECT_TRUE(differs);
}

TEST_P(EveryNetwork, OneNoiseLevelServesAllRows) {
  const Weights weights = perturbed(*network);
  const Tensor x = normal(batch(3), 3, at::kFloat), c_noise = at::full({1}, 0.3F);
  const Tensor one = network->forward(weights, x, c_noise);
  EXPECT_TRUE(at::allclose(one, network->forward(weights, x, c_noise.expand({3})), 1e-4, 1e-5));
  EXPECT_FALSE(at::allclose(one, network->forward(weights, x, c_noise + 1), 1e-2, 1e-3));
}

// J^T v against central differences of the denoiser, in float64; float32 and bfloat16 against that.
TEST_P(EveryNetwork, DerivativeIsThatOfFiniteDifferences) {
  const auto denoiser = [&](at::ScalarType dtype) {
    return NetworkDenoiser(
        std::make_shared<NetworkPredictor>(network, perturbed(*network).to(at::kCPU, dtype)), 0.5,
        network->shape());
  };
  const NetworkDenoiser exact = denoiser(at::kDouble);
  const Tensor x = normal(batch(2), 5), u = normal(batch(2), 6), v = normal(batch(2), 7);
  const Tensor sigma = at::tensor({0.2, 3.0}, at::kDouble);
  const auto rows = [](const Tensor& t) { return t.flatten(1).sum(1); };
  const Linearised at_x = linearise(exact, x, sigma);
  const Tensor vjp = at_x.vjp(v);
  const double h = 1e-5;
  const Tensor slope = (exact.mean(x + h * u, sigma) - exact.mean(x - h * u, sigma)) / (2 * h);
  EXPECT_TRUE(at::allclose(rows(vjp * u), rows(v * slope), 1e-6, 1e-7));
  EXPECT_LT(max_difference(at_x.mean, exact.mean(x, sigma)), 1e-14);

  for (const auto& [dtype, allowed] : {std::pair{at::kFloat, 1e-4}, std::pair{at::kBFloat16, 0.1}}) {
    const Linearised ours = linearise(denoiser(dtype), x.to(at::kFloat), sigma);
    EXPECT_EQ(ours.mean.scalar_type(), at::kFloat);
    EXPECT_LT(max_difference(ours.mean, at_x.mean), allowed * at_x.mean.abs().max().item<double>());
    EXPECT_LT(max_difference(ours.vjp(v.to(at::kFloat)), vjp), allowed * vjp.abs().max().item<double>());
  }
}

// What training takes: gradients of the weights in float32, whatever the network computes in. All rows' noise
// levels differ, and there are more rows than go together.
TEST_P(EveryNetwork, GradientsOfWeightsAreThoseInFloat64) {
  const at::AutoGradMode gradients(true);
  const Tensor x = normal(batch(70), 5), c_noise = normal({70}, 6), v = normal(batch(70), 7);
  const auto gradient = [&](at::ScalarType weights_dtype, at::ScalarType dtype) {
    std::vector<Tensor> leaves;
    const Weights weights = perturbed(*network).to(at::kCPU, weights_dtype);
    for (const Tensor& t : weights.tensors()) leaves.push_back(t.detach().requires_grad_());
    const auto bound = network->bind(weights.with(leaves), dtype);
    const Tensor y = bound(x.to(weights_dtype), c_noise.to(weights_dtype), {});
    std::vector<Tensor> flat;
    for (const Tensor& t : torch::autograd::grad({(y * v).sum()}, leaves)) {
      EXPECT_EQ(t.scalar_type(), weights_dtype);
      flat.push_back(t.flatten().to(at::kDouble));
    }
    return at::cat(flat);
  };
  const Tensor truth = gradient(at::kDouble, at::kDouble);
  const auto error = [&](const Tensor& ours) {
    return ((ours - truth).norm() / truth.norm()).item<double>();
  };
  const double f32 = error(gradient(at::kFloat, at::kFloat)),
               bf16 = error(gradient(at::kFloat, at::kBFloat16));
  EXPECT_LT(f32, 2e-5);
  // A network that makes much of rounding in float32 does so in bfloat16, which rounds 2^15 times as
  // coarsely.
  EXPECT_LT(bf16, std::max(0.03, 0x1p15 * f32));
  if (cpu_has_bfloat16()) EXPECT_GT(bf16, 1e-4);
}

// By hand, multiply-adds counted as 2: embeddings 4x16 + 16x16; stem and head 1x4x9 on 4 pixels; blocks down
// and middle, each 2 (4x4x9) on 4 pixels and 16x8; attention 4x12 + 4x4 on 4 pixels and 2 (4x4x4); block up
// 8x4x9 + 4x4x9 + 8x4 on 4 pixels and 16x8.
TEST(UNet, FlopsAreThoseCountedByHand) {
  const auto network =
      make_network(UNetOptions{.channels = 4, .multipliers = {1}, .blocks = 1}, Shape{1, 2, 2});
  const int64_t embeddings = 4 * 16 + 16 * 16, ends = 2 * 36 * 4, block = 2 * 144 * 4 + 128;
  const int64_t attention = (48 + 16) * 4 + 2 * 64, up = (288 + 144 + 32) * 4 + 128;
  EXPECT_EQ(network->flops(), 2.0 * static_cast<double>(embeddings + ends + 3 * block + attention + up));
}

TEST(Mlp, FlopsAreThoseCountedByHand) {
  const auto network = make_network(MlpOptions{.width = 8, .depth = 2}, Shape{3});
  EXPECT_EQ(network->flops(), 2.0 * (2 * 3 * 8 + 2 * (64 * 8 + 2 * 8 * 8)));
}

TEST(UNet, BadOptionsAreNamed) {
  const Shape image{1, 8, 8};
  const auto make = [](UNetOptions options, const Shape& shape) {
    return [=] { make_network(NetworkOptions(options), shape); };
  };
  expect_error(make({}, {64}), {"network", "(64,)", "mlp"});
  expect_error(make({.channels = 6}, image), {"network.channels", "6", "multiple of 4"});
  expect_error(make({.channels = 0}, image), {"network.channels", "0"});
  expect_error(make({.multipliers = {}}, image), {"network.multipliers", "empty"});
  expect_error(make({.multipliers = {1, 0}}, image), {"network.multipliers", "0"});
  expect_error(make({.multipliers = {1, 1, 1, 1, 1}}, image), {"network.multipliers", "5", "8"});
  expect_error(make({.blocks = 0}, image), {"network.blocks", "0"});
  expect_error(make({.attention = {5}}, image), {"network.attention", "5"});
  expect_error(make({.patch = 3}, image), {"network.patch", "3", "8 x 8"});
  expect_error(make({.patch = 0}, image), {"network.patch", "0"});
}

TEST(Mlp, BadOptionsAreNamed) {
  expect_error([] { make_network(MlpOptions{.width = 0}, Shape{3}); }, {"network.width", "0"});
  expect_error([] { make_network(MlpOptions{.depth = 0}, Shape{3}); }, {"network.depth", "0"});
  expect_error([] { make_network(MlpOptions{.frequencies = 21}, Shape{3}); }, {"network.frequencies", "21"});
}

TEST(Weights, AreNamedArraysInOrder) {
  Weights w;
  w.add("b", at::ones({2, 3, 1, 1}));
  w.add("a", at::zeros({4}));
  EXPECT_EQ(w.names(), (std::vector<std::string>{"b", "a"}));
  EXPECT_EQ(w.count(), 10);
  EXPECT_TRUE(w.contains("a"));
  EXPECT_FALSE(w.contains("c"));
  expect_error([&] { w["c"]; }, {"weights", "'c'"});
  expect_error([&] { w.add("a", at::zeros({1})); }, {"weights", "'a'", "twice"});
  expect_error([&] { w.with({at::zeros({1})}); }, {"weights", "1", "2"});

  const Weights copy = w.clone();
  Tensor(w["a"]).fill_(5);
  EXPECT_EQ(copy["a"].max().item<float>(), 0);
  EXPECT_EQ(copy.names(), w.names());
  Weights more = copy, moved = std::move(more);
  moved.add("c", at::zeros({1}));
  EXPECT_EQ(copy.names(), w.names());
  EXPECT_EQ(moved.size(), 3);
  const Weights half = w.to(at::kCPU, at::kBFloat16);
  EXPECT_EQ(half["b"].scalar_type(), at::kBFloat16);
  EXPECT_TRUE(half["b"].is_contiguous(at::MemoryFormat::ChannelsLast));
  EXPECT_EQ(half["a"].max().item<float>(), 5);
  EXPECT_TRUE(at::equal(w.with({at::ones({1}), at::ones({2})})["a"], at::ones({2})));
}

}  // namespace
}  // namespace tweedie
