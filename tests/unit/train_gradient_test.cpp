#include "train/gradient.h"

#include "train/square_error.h"

#include "network_tiny.h"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/custom_function.h>
#include <torch/csrc/autograd/graph_task.h>

namespace tweedie {
namespace {

std::vector<Tensor> leaves_of(const std::vector<Tensor>& tensors) {
  std::vector<Tensor> result;
  for (const Tensor& tensor : tensors) result.push_back(tensor.detach().requires_grad_());
  return result;
}

// Of a loss of the leaves, the bits that libtorch's engine gives
template <class Loss>
void expect_those_of_autograd(const std::vector<Tensor>& tensors, Loss loss) {
  const at::AutoGradMode gradients(true);
  const std::vector<Tensor> leaves = leaves_of(tensors);
  const std::vector<Tensor> ours = gradient(loss(leaves), leaves),
                            truth = torch::autograd::grad({loss(leaves)}, leaves);
  ASSERT_EQ(ours.size(), truth.size());
  for (size_t i = 0; i < truth.size(); ++i) {
    EXPECT_TRUE(at::equal(ours[i], truth[i])) << "leaf " << i;
    EXPECT_EQ(ours[i].strides(), truth[i].strides()) << "leaf " << i;
    EXPECT_FALSE(ours[i].requires_grad());
  }
}

// One operation after another, with a network's arrays as leaves of one of them
TEST(Gradient, OfAChain) {
  const auto network = make_network(MlpOptions{.width = 48, .depth = 2}, {3});
  const Weights weights = perturbed(*network);
  const Tensor x = normal({40, 3}, 1, at::kFloat), y = normal({40, 3}, 2, at::kFloat),
               c_noise = normal({40}, 3, at::kFloat);
  expect_those_of_autograd(weights.tensors(), [&](const std::vector<Tensor>& leaves) {
    return square_error(network->bind(weights.with(leaves), at::kFloat)(x, c_noise, {}), y, {});
  });
}

// A chain too, but a leaf's gradient is a sum over what it was broadcast to, or of another dtype
TEST(Gradient, OfWhatIsBroadcastOrCast) {
  const Tensor x = normal({4, 5}, 1);
  expect_those_of_autograd({normal({1, 5}, 2)}, [&](const auto& t) { return (x - t[0]).square().sum(); });
  expect_those_of_autograd({normal({5}, 2)}, [&](const auto& t) { return (t[0].exp() * x).sum(); });
  expect_those_of_autograd({normal({4, 5}, 2, at::kFloat)},
                           [&](const auto& t) { return (t[0].sin() * x).square().sum(); });

  const auto network = make_network(MlpOptions{.width = 16, .depth = 1}, {3}, {.classes = 4});
  const Weights weights = perturbed(*network);
  const Tensor rows = normal({40, 3}, 1, at::kFloat), c_noise = normal({40}, 3, at::kFloat);
  expect_those_of_autograd(weights.tensors(), [&](const std::vector<Tensor>& leaves) {
    return network->bind(weights.with(leaves), at::kFloat)(rows, c_noise, {}).sum();
  });
}

// Whether the engine ran the derivative
class Watched : public torch::autograd::Function<Watched> {
 public:
  static inline bool by_the_engine = false;
  static Tensor forward(torch::autograd::AutogradContext*, const Tensor& x) { return 2 * x; }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext*,
                                                 torch::autograd::variable_list gradients) {
    by_the_engine = torch::autograd::get_current_graph_task_exec_info() != nullptr;
    return {2 * gradients[0]};
  }
};

TEST(Gradient, LeavesTheEngineBranchesAlone) {
  const at::AutoGradMode gradients(true);
  const std::vector<Tensor> leaves = leaves_of({normal({5}, 1)});
  gradient(Watched::apply(leaves[0].exp()).sum(), leaves);
  EXPECT_FALSE(Watched::by_the_engine);
  gradient((Watched::apply(leaves[0]) * leaves[0]).sum(), leaves);
  EXPECT_TRUE(Watched::by_the_engine);
}

TEST(Gradient, OfAGraphWithBranches) {
  const std::vector<Tensor> leaves{normal({5}, 1), normal({5}, 2)};
  expect_those_of_autograd(leaves, [](const auto& t) { return (t[0].sin() * t[1].cos()).sum(); });
  expect_those_of_autograd(leaves, [](const auto& t) { return (t[0] * t[1] + t[0]).exp().sum(); });
  expect_those_of_autograd({leaves[0]}, [](const auto& t) { return (t[0] * t[0]).sum(); });
}

TEST(Gradient, NeedsEveryLeaf) {
  const at::AutoGradMode gradients(true);
  const std::vector<Tensor> leaves = leaves_of({normal({5}, 1), normal({5}, 2)});
  EXPECT_THROW(gradient(leaves[0].exp().sum(), leaves), c10::Error);
}

TEST(Gradient, RunsHooks) {
  const at::AutoGradMode gradients(true);
  const std::vector<Tensor> leaves = leaves_of({normal({5}, 1)});
  const Tensor square = leaves[0].square();
  square.register_hook([](const Tensor& g) { return 3 * g; });
  EXPECT_TRUE(at::equal(gradient(square.sum(), leaves)[0], 6 * leaves[0]));
}

}  // namespace
}  // namespace tweedie
