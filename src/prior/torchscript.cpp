#include "tweedie/torchscript_prior.h"

#include "core/script_module.h"
#include "core/shape.h"

#include <ATen/core/grad_mode.h>
#include <fmt/format.h>
#include <torch/csrc/jit/runtime/graph_executor.h>

#include <filesystem>

namespace tweedie {

namespace {

class TorchScriptPredictor final : public Predictor {
 public:
  explicit TorchScriptPredictor(const std::string& file)
      : file_(file), module_(load_script_module(file, file)) {
    if (!module_.find_method("forward")) throw Error(file, "its module has no forward(x, sigma)");
    require_two_inputs();
    for (const Tensor& p : module_.parameters()) {
      if (!p.is_floating_point()) continue;
      dtype_ = p.scalar_type();
      break;
    }
  }

  Tensor predict(const Tensor& x_t, const Tensor& t) const override {
    // Every call runs the same plain graph: the profiling executor would change the arithmetic after its
    // first runs.
    const torch::jit::GraphOptimizerEnabledGuard plain(false);
    Tensor output;
    try {
      const c10::IValue value =
          torch::jit::Module(module_).forward({x_t.to(dtype_), t.to(dtype_).contiguous()});
      if (!value.isTensor()) throw Error(file_, "gives a " + value.tagKind() + ", but a tensor is needed");
      output = value.toTensor();
    } catch (const Error&) {
      throw;
    } catch (const std::exception& e) {
      throw Error(file_, fmt::format("fails on x of shape {} ({})", to_string(x_t.sizes()), gist_of(e)));
    }
    if (output.sizes() != x_t.sizes() || !output.is_floating_point()) {
      throw Error(
          file_,
          fmt::format("gives {} {} for x of shape {}, but floating point of the same shape is needed",
                      toString(output.scalar_type()), to_string(output.sizes()), to_string(x_t.sizes())));
    }
    if (!output.detach().isfinite().all().item<bool>()) {
      require_finite(x_t.detach(), "x");
      require_finite(output.detach(), file_ + " (its output)");
    }
    return output.to(x_t.scalar_type());
  }

  Shape own_shape() const {
    if (!module_.hasattr("shape") || !module_.attr("shape").isIntList()) {
      throw Error(
          file_, "neither the config nor the module's attribute `shape: List[int]` says the shape of a draw");
    }
    return module_.attr("shape").toIntVector();
  }

 private:
  void require_two_inputs() const {
    const auto& arguments = module_.get_method("forward").function().getSchema().arguments();
    const int64_t most = static_cast<int64_t>(arguments.size()) - 1;  // without self
    int64_t least = 0;
    for (int64_t i = 1; i <= most; ++i) least += !arguments[i].default_value();
    if (least <= 2 && 2 <= most) return;
    throw Error(file_,
                fmt::format("its forward takes {} inputs, but the two of f(x, sigma) are meant", least));
  }

  std::string file_;
  torch::jit::Module module_;
  at::ScalarType dtype_ = at::kFloat;
};

}  // namespace

std::shared_ptr<const Denoiser> load_torchscript(const std::string& file, const TorchScriptOptions& options) {
  const auto network = std::make_shared<TorchScriptPredictor>(file);
  const Shape shape = options.shape.empty() ? network->own_shape() : options.shape;
  const auto denoiser = std::make_shared<PredictorDenoiser>(network, options.path, options.prediction, shape);
  denoiser->mean(torch::zeros(with_batch(2, shape)), 1.0);
  return denoiser;
}

}  // namespace tweedie
