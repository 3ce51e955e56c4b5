// Training in bfloat16 of what has no plan: products of layers are rounded, all else is not.

#include "core/workers.h"
#include "network/mixed_precision.h"
#include "tweedie/diffusion.h"
#include "tweedie/energy.h"
#include "tweedie/masked_autoencoder.h"
#include "tweedie/network.h"
#include "tweedie/noisy_classifier.h"
#include "tweedie/normalising_flow.h"
#include "tweedie/vae.h"

#include "check_tensor.h"
#include "train/gradient.h"

#include <ATen/core/grad_mode.h>

namespace tweedie {
namespace {

struct Case {
  const char* name;
  std::shared_ptr<const Trainable> model;
};

const Shape image{1, 8, 8};

std::vector<Case> cases() {
  const DataScale scale{0, 1};
  return {{"classifier", std::make_shared<NoisyClassifierTraining>(
                             NoisyClassifierOptions{.width = 16, .depth = 2}, image, 4, 1)},
          {"vae", std::make_shared<Vae>(VaeOptions{.channels = 8}, image, scale)},
          {"glow", std::make_shared<FlowModel>(GlowOptions{.levels = 1, .steps = 2, .width = 8}, image)},
          {"energy", std::make_shared<EnergyTraining>(
                         EnergyOptions{.width = 16, .depth = 2, .reinitialise = 0}, image, scale)},
          {"masked autoencoder",
           std::make_shared<MaskedAutoencoder>(
               MaskedAutoencoderOptions{
                   .patch = 4, .width = 16, .depth = 1, .decoder_width = 8, .decoder_depth = 1},
               image, scale)},
          {"sliced score matching",
           std::make_shared<DiffusionModel>(make_network(MlpOptions{.width = 16, .depth = 1}, {4}),
                                            SsmObjective{}, 1.0)}};
}

// The loss and its gradient, all in one row. Arrays that start at 0 are moved away from it.
Tensor loss_and_gradient(const Trainable& model, bool bf16) {
  const Shape shape = model.shape();
  Shape batch = shape;
  batch.insert(batch.begin(), 16);
  const Tensor x = normal(batch, 3, at::kFloat);
  const Weights start = model.initialise(Noise(1), x);
  std::vector<Tensor> leaves;
  for (const Tensor& weight : start.tensors())
    leaves.push_back((weight + 0.05 * Noise(2).normal(weight.sizes(), at::kFloat)).requires_grad_());
  const at::AutoGradMode gradients(true);
  Noise noise(4);
  std::vector<uint64_t> rows(16);
  for (size_t i = 0; i < rows.size(); ++i) rows[i] = i;
  Noise of_rows = noise.rows(rows);
  // Chains of an energy far from the data, so that the loss is no small difference
  const Batch given{x, at::arange(16) % 4, normal(batch, 5, at::kFloat) + 3, {}};
  const Tensor loss = model.bind(start.with(leaves), bf16 ? at::kBFloat16 : at::kFloat)(given, of_rows);
  EXPECT_EQ(loss.scalar_type(), at::kFloat);
  std::vector<Tensor> all{loss.detach().reshape({1})};
  for (const Tensor& part : gradient(loss, leaves)) all.push_back(part.flatten());
  return at::cat(all);
}

TEST(MixedPrecision, IsNearFloat32AndIsNotIt) {
  for (const auto& [name, model] : cases()) {
    const Tensor wide = loss_and_gradient(*model, false), narrow = loss_and_gradient(*model, true);
    EXPECT_TRUE(at::equal(wide, loss_and_gradient(*model, false))) << name;
    EXPECT_FALSE(at::equal(wide, narrow)) << name;
    // bfloat16 has 8 bits: each rounding is 0.2% of a number.
    const double error = ((narrow - wide).norm() / wide.norm()).item<double>();
    EXPECT_LT(error, 0.03) << name;
    EXPECT_GT(error, 1e-5) << name;
  }
  EXPECT_FALSE(Bf16Products::on());
}

// A U-Net's plan has numbers of its own: layers beside it, which embed the noise level, stay float32.
TEST(MixedPrecision, LeavesPlansAlone) {
  const DiffusionModel model(make_network(UNetOptions{.channels = 8, .multipliers = {1}, .blocks = 1}, image),
                             EdmObjective{}, 1.0);
  const Tensor wide = loss_and_gradient(model, false);
  {
    const Bf16Products around(true);
    EXPECT_TRUE(at::equal(wide, loss_and_gradient(model, false)));
  }
  if (!cpu_has_bfloat16()) EXPECT_TRUE(at::equal(wide, loss_and_gradient(model, true)));
}

}  // namespace
}  // namespace tweedie
