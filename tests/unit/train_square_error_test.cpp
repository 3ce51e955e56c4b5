#include "train/square_error.h"

#include "check_tensor.h"

#include <torch/csrc/autograd/autograd.h>

namespace tweedie {
namespace {

struct Value {
  Tensor loss, gradient;
};
template <class Function>
Value evaluate(Function f, const Tensor& prediction) {
  const at::AutoGradMode gradients(true);
  const Tensor p = prediction.detach().requires_grad_();
  const Tensor loss = f(p);
  return {loss.detach(), torch::autograd::grad({3 * loss}, {p})[0]};
}

TEST(SquareError, IsTheSumOfSquaresAndItsDerivative) {
  const Tensor p = normal({4, 2, 3}, 1), target = normal({4, 2, 3}, 2);
  for (const Tensor& w : {Tensor(), normal({4, 1, 1}, 3).square(), normal({4, 2, 3}, 4).square()}) {
    const Value ours = evaluate([&](const Tensor& x) { return square_error(x, target, w); }, p);
    const Value autograds = evaluate(
        [&](const Tensor& x) {
          const Tensor error = (x - target).square();
          return (w.defined() ? w * error : error).sum();
        },
        p);
    EXPECT_NEAR((ours.loss / autograds.loss).item<double>(), 1, 1e-13);
    EXPECT_LT(max_difference(ours.gradient, autograds.gradient), 1e-12);
  }
}

TEST(SquareError, IsNotDifferentiatedTwice) {
  const at::AutoGradMode gradients(true);
  const Tensor p = normal({4, 2}, 1).requires_grad_(), target = normal({4, 2}, 2);
  EXPECT_THROW(torch::autograd::grad({square_error(p, target, {})}, {p}, {}, true, /*create_graph=*/true),
               std::logic_error);
}

}  // namespace
}  // namespace tweedie
