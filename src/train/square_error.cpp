#include "train/square_error.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <torch/csrc/autograd/custom_function.h>

#include <stdexcept>

namespace tweedie {

namespace {

class SquareError : public torch::autograd::Function<SquareError> {
 public:
  static Tensor forward(torch::autograd::AutogradContext* context, const Tensor& /*prediction*/,
                        const Tensor& error, const Tensor& weighted) {
    context->save_for_backward({weighted});
    return (weighted * error).sum();
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    if (at::GradMode::is_enabled()) throw std::logic_error("square_error is differentiable once");
    return {context->get_saved_variables()[0] * (2 * gradients[0]), Tensor(), Tensor()};
  }
};

}  // namespace

Tensor square_error(const Tensor& prediction, const Tensor& target, const Tensor& weight) {
  if (target.requires_grad() || (weight.defined() && weight.requires_grad()))
    throw std::logic_error("square_error is differentiable in the prediction alone");
  const Tensor error = prediction.detach() - target;
  return SquareError::apply(prediction, error, weight.defined() ? weight * error : error);
}

}  // namespace tweedie
