#include "network/transformer.h"

#include "network_tiny.h"

#include <torch/csrc/autograd/autograd.h>

#include <cmath>

namespace tweedie {
namespace {

using layers::Patches;
using layers::TransformerBlock;

Weights initial(const TransformerBlock& block) {
  Weights weights;
  Noise noise(1);
  block.initialise(weights, noise);
  std::vector<Tensor> perturbed;
  for (const Tensor& t : weights.tensors())
    perturbed.push_back(t.to(at::kDouble) + 0.2 * noise.normal({1, t.numel()}, at::kDouble).view(t.sizes()));
  return weights.with(std::move(perturbed));
}

// (x - mean) / sqrt(variance + 1e-6) of one token
Tensor standard(const Tensor& token) {
  const Tensor centred = token - token.mean();
  return centred / (centred.square().mean() + 1e-6).sqrt();
}

// Attention of one row (N, width), one query, head and key at a time
Tensor attention(const Weights& w, const Tensor& x, int64_t heads) {
  const int64_t tokens = x.size(0), width = x.size(1), size = width / heads;
  const Tensor qkv = at::matmul(x, w["b.qkv.weight"].t()) + w["b.qkv.bias"];
  const Tensor mixed = at::zeros({tokens, width}, at::kDouble);
  for (int64_t head = 0; head < heads; ++head) {
    const auto part = [&](int64_t which, int64_t token) {
      return qkv[token].slice(0, which * width + head * size, which * width + (head + 1) * size);
    };
    for (int64_t i = 0; i < tokens; ++i) {
      const Tensor weight = at::zeros({tokens}, at::kDouble);
      for (int64_t j = 0; j < tokens; ++j)
        weight[j] = std::exp(part(0, i).dot(part(1, j)).item<double>() / std::sqrt(double(size)));
      for (int64_t j = 0; j < tokens; ++j)
        mixed[i].slice(0, head * size, (head + 1) * size) += part(2, j) * (weight[j] / weight.sum());
    }
  }
  return at::matmul(mixed, w["b.out.weight"].t()) + w["b.out.bias"];
}

Tensor mlp(const Weights& w, const Tensor& x) {
  const Tensor h = at::matmul(x, w["b.up.weight"].t()) + w["b.up.bias"];
  const Tensor gelu = h * 0.5 * (1 + (h / std::sqrt(2.0)).erf());
  return at::matmul(gelu, w["b.down.weight"].t()) + w["b.down.bias"];
}

Tensor each_token(const Tensor& x, const std::function<Tensor(const Tensor&)>& f) {
  std::vector<Tensor> rows;
  for (int64_t i = 0; i < x.size(0); ++i) rows.push_back(f(x[i]));
  return at::stack(rows);
}

TEST(TransformerBlock, IsTheFormula) {
  const TransformerBlock block("b", 8, 2);
  const Weights w = initial(block);
  const Tensor x = normal({3, 5, 8}, 2), y = block(w, x);
  for (int64_t row = 0; row < 3; ++row) {
    const auto normed = [&](const Tensor& h, const std::string& name) {
      return each_token(
          h, [&](const Tensor& t) { return standard(t) * w[name + ".weight"] + w[name + ".bias"]; });
    };
    const Tensor h = x[row] + attention(w, normed(x[row], "b.norm1"), 2);
    EXPECT_LT(max_difference(y[row], h + mlp(w, normed(h, "b.norm2"))), 1e-12);
  }
}

TEST(TransformerBlock, IsModulatedByTheFormula) {
  const TransformerBlock block("b", 8, 4, 6, 2);
  const Weights w = initial(block);
  const Tensor x = normal({3, 5, 8}, 2), embedding = normal({3, 1, 6}, 3), y = block(w, x, embedding);
  for (int64_t row = 0; row < 3; ++row) {
    const Tensor m = at::matmul(embedding[row][0], w["b.modulation.weight"].t()) + w["b.modulation.bias"];
    const auto part = [&](int64_t i) { return m.slice(0, 8 * i, 8 * (i + 1)); };
    const auto modulated = [&](const Tensor& h, int64_t i) {
      return each_token(h, [&](const Tensor& t) { return standard(t) * (1 + part(i)) + part(i + 1); });
    };
    const Tensor h = x[row] + part(2) * attention(w, modulated(x[row], 0), 4);
    EXPECT_LT(max_difference(y[row], h + part(5) * mlp(w, modulated(h, 3))), 1e-12);
  }
}

TEST(TransformerBlock, WithAnEmbeddingBeginsAsTheIdentity) {
  const TransformerBlock block("b", 8, 2, 6);
  Weights weights;
  Noise noise(1);
  block.initialise(weights, noise);
  const Tensor x = normal({3, 5, 8}, 2, at::kFloat);
  EXPECT_TRUE(at::equal(block(weights, x, normal({1, 1, 6}, 3, at::kFloat)), x));
}

TEST(Patches, AreSquaresOfPixelsRowByRow) {
  const Patches patches({1, 4, 6}, 2, "patch");
  EXPECT_EQ(patches.count(), 6);
  EXPECT_EQ(patches.size(), 4);
  const Tensor x = at::arange(48, at::kFloat).reshape({2, 1, 4, 6}), tokens = patches.split(x);
  EXPECT_TRUE(at::equal(tokens[0][1], at::tensor({2.F, 3.F, 8.F, 9.F})));
  EXPECT_TRUE(at::equal(tokens[1][3], at::tensor({36.F, 37.F, 42.F, 43.F})));
  EXPECT_TRUE(at::equal(patches.join(tokens), x));
  const Patches neighbours({6}, 3, "patch");
  const Tensor v = at::arange(12, at::kFloat).reshape({2, 6});
  EXPECT_TRUE(at::equal(neighbours.split(v)[1][0], at::tensor({6.F, 7.F, 8.F})));
  EXPECT_TRUE(at::equal(neighbours.join(neighbours.split(v)), v));
  // Positions tell all patches apart.
  const Tensor where = Patches({1, 12, 20}, 2, "patch").positions(16);
  EXPECT_EQ(where.sizes(), (at::IntArrayRef{60, 16}));
  EXPECT_GT((at::cdist(where, where) + 10 * at::eye(60)).min().item<float>(), 0.1);

  expect_error([] { Patches({1, 4, 6}, 4, "patch"); }, {"patch", "4", "4 x 6"});
  expect_error([] { Patches({1, 4, 6}, 0, "patch"); }, {"patch", "0"});
  expect_error([] { Patches({7}, 3, "patch"); }, {"patch", "3", "7"});
  expect_error([] { Patches({4, 4}, 2, "patch"); }, {"patch", "(4, 4)"});
}

const DitOptions tiny{.patch = 2, .width = 8, .depth = 2, .heads = 2};

TEST(Dit, ARowDoesNotDependOnTheOthers) {
  const auto network = make_network(tiny, Shape{1, 8, 8}, {.classes = 3});
  const Weights weights = perturbed(*network);
  const Tensor x = normal({4, 1, 8, 8}, 3, at::kFloat), c_noise = normal({4}, 4, at::kFloat);
  const Tensor labels = at::tensor({0, 1, 2, 3}, at::kLong);
  Tensor others = x.clone(), other_labels = labels.clone(), other_levels = c_noise.clone();
  others.slice(0, 1) += 1;
  other_labels.slice(0, 1) = 0;
  other_levels.slice(0, 1) = 0;
  const Tensor y = network->forward(weights, x, c_noise, labels),
               z = network->forward(weights, others, other_levels, other_labels);
  EXPECT_TRUE(at::equal(y[0], z[0]));
  EXPECT_FALSE(at::equal(y[1], z[1]));
}

TEST(Dit, KnowsTheLabelAndThePlace) {
  const auto network = make_network(tiny, Shape{1, 8, 8}, {.classes = 3});
  const Weights weights = perturbed(*network);
  const Tensor x = normal({1, 1, 8, 8}, 3, at::kFloat), c_noise = at::full({1}, 0.3F);
  const auto labelled = [&](int64_t label) {
    return network->forward(weights, x, c_noise, at::full({1}, label, at::kLong));
  };
  EXPECT_FALSE(at::allclose(labelled(0), labelled(1), 1e-3, 1e-3));
  EXPECT_TRUE(at::equal(labelled(3), network->forward(weights, x, c_noise)));
  // Without positions, a shift by one patch would shift the output.
  const auto shifted = [](const Tensor& t) { return t.roll({2}, {3}); };
  EXPECT_FALSE(
      at::allclose(network->forward(weights, shifted(x), c_noise), shifted(labelled(3)), 1e-3, 1e-3));
}

// The derivative of |df/dx|^2 against central differences, in float64
TEST(Dit, IsTwiceDifferentiable) {
  const at::AutoGradMode gradients(true);
  const auto network = make_network(tiny, Shape{1, 4, 4});
  const Weights weights = perturbed(*network).to(at::kCPU, at::kDouble);
  const Tensor v = normal({2, 1, 4, 4}, 4), direction = normal({2, 1, 4, 4}, 5);
  const auto steepness = [&](const Tensor& x) {
    const Tensor y = network->forward(weights, x, at::zeros({1}, at::kDouble));
    return torch::autograd::grad({(y * v).sum()}, {x}, {}, true, true)[0].square().sum();
  };
  const Tensor x = normal({2, 1, 4, 4}, 3).requires_grad_();
  const Tensor slope = (torch::autograd::grad({steepness(x)}, {x})[0] * direction).sum();
  const auto at_step = [&](double h) {
    return steepness((x.detach() + h * direction).requires_grad_()).item<double>();
  };
  EXPECT_NEAR(slope.item<double>(), (at_step(1e-5) - at_step(-1e-5)) / 2e-5,
              1e-6 * std::abs(slope.item<double>()) + 1e-9);
}

// By hand, multiply-adds counted as 2: embeddings 64x8 + 8x8; stem and head 4x8 on 4 tokens; blocks, each
// 8x24 + 8x8 + 2 (8x32) on 4 tokens, 2 (4x4x8) of attention and 8x48 of modulation; the head's 8x16.
TEST(Dit, FlopsAreThoseCountedByHand) {
  const auto network = make_network(tiny, Shape{1, 4, 4});
  const int64_t block = 4 * (192 + 64 + 512) + 2 * 128 + 384;
  EXPECT_EQ(network->flops(), 2.0 * (512 + 64 + 2 * 32 * 4 + 2 * block + 128));
}

TEST(Dit, BadOptionsAreNamed) {
  const auto make = [](DitOptions options, const Shape& shape) {
    return [=] { make_network(NetworkOptions(options), shape); };
  };
  const Shape image{1, 8, 8};
  expect_error(make({}, {64}), {"network", "(64,)", "mlp"});
  expect_error(make({.patch = 3}, image), {"network.patch", "3", "8 x 8"});
  expect_error(make({.width = 6}, image), {"network.width", "6"});
  expect_error(make({.width = 16, .heads = 3}, image), {"network.heads", "3", "16"});
  expect_error(make({.depth = 0}, image), {"network.depth", "0"});
}

}  // namespace
}  // namespace tweedie
