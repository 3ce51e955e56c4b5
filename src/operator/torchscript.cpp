// A module that a user saved by torch.jit, as an operator.

#include "core/script_module.h"
#include "core/shape.h"
#include "tweedie/user_operators.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

namespace tweedie {
namespace {

// The module in float32 and in float64; both are only read once they are made.
class Module {
 public:
  Module(const std::filesystem::path& file, std::string place) : place_(std::move(place)) {
    for (torch::jit::Module* module : {&single_, &wide_}) {
      *module = load_script_module(file, fmt::format("{}: {}", place_, file.string()));
      module->to(module == &single_ ? at::kFloat : at::kDouble);
    }
    require_method("forward");
  }

  void require_method(const std::string& name) const {
    if (!wide_.find_method(name)) throw Error(place_, fmt::format("its module has no method '{}'", name));
  }

  // (B, ...) -> (B, ...), which has any shape yet
  Tensor run(const std::string& method, const Tensor& x) const {
    // Every call runs the same plain graph: the profiling executor would change the arithmetic after its
    // first runs.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    const torch::jit::Module module(x.scalar_type() == at::kDouble ? wide_ : single_);
    try {
      const c10::IValue value = module.get_method(method)({x});
      if (!value.isTensor())
        throw Error(place_, method + " gives a " + value.tagKind() + ", but a tensor is needed");
      const Tensor y = value.toTensor();
      if (!y.is_floating_point() || y.dim() < 2 || y.size(0) != x.size(0)) {
        throw Error(place_,
                    fmt::format("{} gives {} {} for x of shape {}, but floating point of shape ({}, ...) is "
                                "needed: a batch, row by row",
                                method, toString(y.scalar_type()), to_string(y.sizes()), to_string(x.sizes()),
                                x.size(0)));
      }
      return y.to(x.scalar_type());
    } catch (const Error&) {
      throw;
    } catch (const std::exception& e) {
      throw Error(place_,
                  fmt::format("{} fails on x of shape {} ({})", method, to_string(x.sizes()), gist_of(e)));
    }
  }

  Tensor checked(const std::string& method, const Tensor& x, const Shape& shape) const {
    Tensor y = run(method, x);
    if (y.sizes() != at::IntArrayRef(with_batch(x.size(0), shape))) {
      throw Error(place_,
                  fmt::format("{} gives shape {} for {}, but {} is needed", method, to_string(y.sizes()),
                              to_string(x.sizes()), to_string(with_batch(x.size(0), shape))));
    }
    if (!y.detach().isfinite().all().item<bool>()) {
      require_finite(x.detach(), "x");
      require_finite(y.detach(), fmt::format("{} ({})", place_, method));
    }
    return y;
  }

  Shape codomain(const Shape& domain) const {
    const Tensor y = run("forward", at::full(with_batch(2, domain), 0.5, at::kDouble));
    return {y.sizes().begin() + 1, y.sizes().end()};
  }

 private:
  std::string place_;
  torch::jit::Module single_, wide_;
};

class TorchscriptOperator final : public ForwardOperator {
 public:
  TorchscriptOperator(std::shared_ptr<const Module> module, Shape domain)
      : module_(std::move(module)), domain_(std::move(domain)), codomain_(module_->codomain(domain_)) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override {
    const at::NoGradGuard none;
    return module_->checked("forward", x, codomain_);
  }
  Tensor do_vjp(const Tensor& x, const Tensor& v) const override {
    const at::AutoGradMode on(true);
    const Tensor leaf = x.detach().requires_grad_(true);
    const Tensor y = module_->checked("forward", leaf, codomain_);
    if (!y.requires_grad()) return at::zeros_like(x);
    const auto gradient =
        torch::autograd::grad({y}, {leaf}, {v}, /*retain_graph=*/c10::nullopt, /*create_graph=*/false,
                              /*allow_unused=*/true)[0];
    return gradient.defined() ? gradient.detach() : at::zeros_like(x);
  }

 private:
  std::shared_ptr<const Module> module_;
  Shape domain_, codomain_;
};

class LinearTorchscriptOperator final : public LinearOperator {
 public:
  LinearTorchscriptOperator(std::shared_ptr<const Module> module, Shape domain, std::string adjoint)
      : module_(std::move(module)),
        domain_(std::move(domain)),
        codomain_(module_->codomain(domain_)),
        adjoint_(std::move(adjoint)) {}
  Shape domain() const override { return domain_; }
  Shape codomain() const override { return codomain_; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return run("forward", x, codomain_); }
  Tensor do_adjoint(const Tensor& y) const override { return run(adjoint_, y, domain_); }

 private:
  Tensor run(const std::string& method, const Tensor& x, const Shape& shape) const {
    const at::NoGradGuard none;
    return module_->checked(method, x, shape);
  }

  std::shared_ptr<const Module> module_;
  Shape domain_, codomain_;
  std::string adjoint_;
};

}  // namespace

ForwardOperatorPtr load_torchscript_operator(const std::filesystem::path& file, Shape domain,
                                             const std::string& adjoint, const std::string& place) {
  const auto module = std::make_shared<Module>(file, place + ".file");
  if (adjoint.empty()) return std::make_shared<TorchscriptOperator>(module, std::move(domain));
  module->require_method(adjoint);
  auto linear = std::make_shared<LinearTorchscriptOperator>(module, std::move(domain), adjoint);
  linear->adjoint(at::zeros(with_batch(2, linear->codomain()), at::kDouble));  // has the right shape
  return linear;
}

}  // namespace tweedie
