#include "core/workers.h"
#include "kernel/image.h"

#include "network_tiny.h"

#include <torch/csrc/autograd/autograd.h>

namespace tweedie {
namespace {

struct Learned {
  Tensor y;
  std::vector<Tensor> gradients;  // of the weights
};

// What training computes: run(x, c_noise, labels) and the derivative of its product with dy
template <class Bind>
Learned learned(const Weights& weights, const Tensor& dy, Bind bind) {
  const at::AutoGradMode gradients(true);
  std::vector<Tensor> leaves;
  for (const Tensor& tensor : weights.tensors()) leaves.push_back(tensor.detach().requires_grad_());
  const Tensor y = bind(weights.with(leaves));
  return {y.detach(), torch::autograd::grad({y}, leaves, {dy.to(y.scalar_type())})};
}

double relative(const Tensor& ours, const Tensor& truth) {
  return max_difference(ours, truth) / truth.abs().max().item<double>();
}

struct Case {
  const char* name;
  int64_t rows, levels;  // levels: rows, or 1
};

class PlannedMlp : public testing::TestWithParam<Case> {
 protected:
  std::shared_ptr<const Network> network =
      make_network(MlpOptions{.width = 48, .depth = 2, .frequencies = 1}, {3}, {.classes = 4});
  Weights weights = perturbed(*network);
  Tensor x = normal({GetParam().rows, 3}, 1, at::kFloat), dy = normal({GetParam().rows, 3}, 2, at::kFloat);
  Tensor c_noise = normal({GetParam().levels}, 3, at::kFloat);
  Tensor labels = at::arange(GetParam().rows).remainder(5);

  Learned ours(at::ScalarType dtype) const {
    return learned(weights, dy,
                   [&](const Weights& w) { return network->bind(w, dtype)(x, c_noise, labels); });
  }
  Learned formula(const Tensor& levels) const {
    return learned(weights.to(at::kCPU, at::kDouble), dy, [&](const Weights& w) {
      return network->forward(w, x.to(at::kDouble), levels.to(at::kDouble), labels);
    });
  }
  static double distance(const Learned& a, const Learned& truth) {
    double result = relative(a.y, truth.y);
    for (size_t i = 0; i < truth.gradients.size(); ++i)
      result = std::max(result, relative(a.gradients[i], truth.gradients[i]));
    return result;
  }
};

// More rows than a frame has, and a block that is not whole
INSTANTIATE_TEST_SUITE_P(Rows, PlannedMlp,
                         testing::Values(Case{"OneLevel", 150, 1}, Case{"Levels", 150, 150},
                                         Case{"OneRow", 1, 1}, Case{"OneFrame", 64, 64}),
                         [](const auto& info) { return info.param.name; });

TEST_P(PlannedMlp, LearnsTheFormulasGradients) {
  const Learned truth = formula(c_noise);
  EXPECT_LT(distance(ours(at::kFloat), truth), 2e-5);
  EXPECT_GT(distance(ours(at::kFloat), formula(c_noise.roll({1}) + 0.1)), 1e-2);
}

TEST_P(PlannedMlp, InBfloat16LearnsThemToRounding) {
  if (!cpu_has_bfloat16()) GTEST_SKIP() << "networks do not run in bfloat16 on this processor";
  const double distance = this->distance(ours(at::kBFloat16), formula(c_noise));
  EXPECT_LT(distance, 24 * 0x1p-9);
  EXPECT_GT(distance, 0x1p-13);  // or it was not in bfloat16
}

// Drawing has another plan, of the same function.
TEST_P(PlannedMlp, DrawsWithWhatItLearned) {
  const Tensor y = network->bind(weights, at::kFloat)(x, c_noise, labels);
  EXPECT_LT(relative(y, ours(at::kFloat).y), 2e-6);
  EXPECT_TRUE(at::equal(
      y.slice(0, 0, 1),
      network->bind(weights, at::kFloat)(x.slice(0, 0, 1), c_noise.slice(0, 0, 1), labels.slice(0, 0, 1))));
}

}  // namespace
}  // namespace tweedie
