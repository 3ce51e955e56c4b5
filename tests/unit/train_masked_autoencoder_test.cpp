#include "tweedie/masked_autoencoder.h"
#include "tweedie/train.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

const MaskedAutoencoderOptions tiny{.patch = 1,
                                    .mask_fraction = 0.5,
                                    .width = 24,
                                    .depth = 2,
                                    .heads = 4,
                                    .decoder_width = 24,
                                    .decoder_depth = 1,
                                    .decoder_heads = 4};

Weights perturbed(const MaskedAutoencoder& model) {
  const Weights start = model.initialise(Noise(1), {});
  std::vector<Tensor> tensors;
  for (const Tensor& t : start.tensors()) tensors.push_back(t + 0.1 * normal(t.sizes(), 2, at::kFloat));
  return start.with(std::move(tensors));
}

Tensor covariance() {
  const Tensor loading = at::tensor({1.0, 0.8, -0.9, 0.7, 1.1, -0.8}, at::kDouble).unsqueeze(1);
  const Tensor second = at::tensor({0.6, -0.7, 0.5, 0.8, -0.6, 0.4}, at::kDouble).unsqueeze(1);
  return at::matmul(loading, loading.t()) + at::matmul(second, second.t()) + 0.15 * at::eye(6, at::kDouble);
}
const double offset = 3;  // of every coordinate
Tensor gaussian_rows(int64_t n, uint64_t seed) {
  return (at::matmul(normal({n, 6}, seed), at::linalg_cholesky(covariance()).t()) + offset).to(at::kFloat);
}

// E[x | visible] of x ~ N(offset, covariance); mask: (6) bool
Tensor conditional_mean(const Tensor& x, const Tensor& mask) {
  const Tensor hidden = mask.nonzero().flatten(), visible = mask.logical_not().nonzero().flatten();
  const auto block = [&](const Tensor& a, const Tensor& b) {
    return covariance().index_select(0, a).index_select(1, b);
  };
  const Tensor gain = at::matmul(block(hidden, visible), at::linalg_inv(block(visible, visible)));
  const Tensor seen = x.to(at::kDouble).index_select(1, visible) - offset;
  return x.to(at::kDouble).index_copy(1, hidden, at::matmul(seen, gain.t()) + offset);
}

TEST(MaskedAutoencoder, LearnsTheConditionalMean) {
  const Tensor x = gaussian_rows(20000, 1), fresh = gaussian_rows(500, 2);
  const DataScale scale = data_scale(x);
  const auto model = std::make_shared<MaskedAutoencoder>(tiny, Shape{6}, scale);
  TrainOptions options;
  options.steps = 400;
  options.batch = 64;
  options.learning_rate = 5e-3;
  options.warmup_steps = 20;
  Trainer trainer(model, x, {}, options, 1, 2);
  trainer.run({});
  double error = 0, of_mean = 0;
  for (const auto& hidden : {std::vector<int64_t>{0, 1, 2}, {1, 3, 5}, {0, 4, 5}}) {
    Tensor mask = at::zeros({6}, at::kBool);
    for (const int64_t i : hidden) mask[i] = true;
    const Tensor truth = conditional_mean(fresh, mask),
                 ours = model->reconstruct(trainer.result(), fresh, mask);
    const Tensor visible = mask.logical_not().nonzero().flatten();
    EXPECT_LT(max_difference(ours.index_select(1, visible), fresh.index_select(1, visible)), 1e-5);
    error += (ours - truth).square().sum().item<double>();
    of_mean += (offset - truth).index_select(1, mask.nonzero().flatten()).square().sum().item<double>();
  }
  EXPECT_LT(error, 0.15 * of_mean);  // measured: 0.07
}

// With a head of zeros the loss is the sum of the hidden patches' squares, those of whole rows none of it.
TEST(MaskedAutoencoder, LossIsOverHiddenPatchesAlone) {
  MaskedAutoencoderOptions options = tiny;
  options.patch = 2;
  options.mask_fraction = 0.75;
  const MaskedAutoencoder model(options, {1, 4, 4}, {1, 2});
  EXPECT_EQ(model.patches(), 4);
  EXPECT_EQ(model.terms(), 12);
  Noise noise(2);
  const auto loss = model.bind(model.initialise(Noise(1), {}), at::kFloat);
  EXPECT_FLOAT_EQ(loss({.x = at::full({5, 1, 4, 4}, 5.F)}, noise).item<float>(), 5 * 12 * 4);
}

TEST(MaskedAutoencoder, HiddenPatchesDoNotMatter) {
  const MaskedAutoencoder model(tiny, {6}, {});
  const Weights weights = perturbed(model);
  const Tensor x = gaussian_rows(4, 1), mask = at::tensor({1, 0, 0, 1, 0, 0}).to(at::kBool);
  const Tensor once = model.reconstruct(weights, x, mask);
  Tensor other = x.clone();
  other.select(1, 3) += 10;
  EXPECT_TRUE(at::equal(once, model.reconstruct(weights, other, mask)));
  other.select(1, 1) += 1;
  EXPECT_FALSE(
      at::allclose(once.select(1, 3), model.reconstruct(weights, other, mask).select(1, 3), 1e-3, 1e-3));
}

TEST(MaskedAutoencoder, EachRowHasItsOwnMask) {
  const MaskedAutoencoder model(tiny, {6}, {});
  const Weights weights = perturbed(model);
  const Tensor x = gaussian_rows(8, 1), draws = Noise(3).uniform({8, 6}, at::kFloat);
  Tensor masks = draws < 0.5;
  masks.select(1, 2) = false;
  const Tensor all = model.reconstruct(weights, x, masks, 1);
  EXPECT_TRUE(at::equal(all, model.reconstruct(weights, x, masks, 2)));
  for (int64_t i = 0; i < 8; ++i) {
    const Tensor row = model.reconstruct(weights, x.slice(0, i, i + 1), masks[i]);
    EXPECT_LT(max_difference(row[0], all[i]), 1e-5);
  }
  EXPECT_TRUE(at::equal(x, model.reconstruct(weights, x, at::zeros({6}, at::kBool))));
}

TEST(MaskedAutoencoder, BadInputIsNamed) {
  const auto make = [](MaskedAutoencoderOptions options, const Shape& shape) {
    return [=] { MaskedAutoencoder(options, shape, {}); };
  };
  const Shape image{1, 8, 8};
  expect_error(make({.patch = 3}, image), {"model.patch", "3", "8 x 8"});
  expect_error(make({.mask_fraction = 1}, image), {"model.mask_fraction", "1"});
  expect_error(make({.mask_fraction = 0.01}, image), {"model.mask_fraction", "0.01", "4 patches", "0"});
  expect_error(make({.width = 6}, image), {"model.width", "6"});
  expect_error(make({.decoder_heads = 3}, image), {"model.decoder_heads", "3"});
  expect_error(make({.depth = 0}, image), {"model.depth", "0"});
  const MaskedAutoencoder model(tiny, {6}, {});
  const Weights weights = model.initialise(Noise(1), {});
  const Tensor x = gaussian_rows(2, 1);
  expect_error([&] { model.reconstruct(weights, x, at::ones({6}, at::kBool)); }, {"mask", "all"});
  expect_error([&] { model.reconstruct({}, x, at::zeros({6}, at::kBool)); }, {"weights"});
  expect_error([&] { model.reconstruct(weights, x, at::zeros({6})); }, {"mask", "bool"});
  expect_error([&] { model.reconstruct(weights, x, at::zeros({3, 6}, at::kBool)); }, {"mask", "(3, 6)"});
  expect_error(
      [&] {
        model.reconstruct(weights, at::zeros({2, 5}), at::zeros({6}, at::kBool));
      },
      {"x", "(2, 5)"});
}

}  // namespace
}  // namespace tweedie
