// tweedie info: what a file holds.

#include "core/shape.h"
#include "io/config.h"
#include "io/model.h"
#include "io/safetensors.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

void describe_safetensors(const std::filesystem::path& path, Summary& summary) {
  const SafeTensors file = read_safetensors(path);
  int64_t numbers = 0;
  for (const auto& [name, tensor] : file.tensors) numbers += tensor.numel();
  if (file.metadata.count("tweedie.model") > 0) {
    const Model model = read_model(path);
    summary["kind"] = "model";
    summary["network"] = std::visit([](const auto& n) { return n.kind; }, model.card.network);
    summary["weights"] = model.weights.count();
    summary["shape"] = model.card.shape;
    summary["range"] = {model.card.low, model.card.high};
    summary["sigma_data"] = model.card.sigma_data;
    summary["data"] = model.card.data;
    summary["steps"] = model.card.steps;
    summary["flops_per_evaluation"] = make_network(model.card.network, model.card.shape)->flops();
    summary["model"] = file.metadata.at("tweedie.model");
    summary["training"] = model.training;
  } else if (file.metadata.count("tweedie.step") > 0) {
    const Checkpoint checkpoint = read_checkpoint(path);
    summary["kind"] = "checkpoint";
    summary["step"] = checkpoint.state.step;
    summary["total_steps"] = checkpoint.state.total_steps;
    summary["weights"] = checkpoint.state.weights.count();
    summary["training"] = checkpoint.training;
  } else {
    summary["kind"] = "safetensors";
    summary["metadata"] = file.metadata;
  }
  summary["arrays"] = file.tensors.size();
  summary["numbers"] = numbers;
}

void describe_array(const std::filesystem::path& path, Summary& summary) {
  const Tensor array = read_array(path);
  summary["kind"] = "array";
  summary["shape"] = std::vector<int64_t>(array.sizes().begin(), array.sizes().end());
  summary["dtype"] = toString(array.scalar_type());
  if (array.numel() == 0 || array.is_complex()) return;
  const Tensor values = array.to(at::kDouble);
  summary["min"] = values.min().item<double>();
  summary["max"] = values.max().item<double>();
  summary["mean"] = values.mean().item<double>();
  if (array.numel() > 1) summary["std"] = values.std().item<double>();
}

}  // namespace

Summary info(const std::filesystem::path& file) {
  Summary summary{{"command", "info"}, {"file", file.string()}};
  const auto extension = file.extension();
  if (extension == ".safetensors") {
    describe_safetensors(file, summary);
  } else if (extension == ".toml" || extension == ".pt") {
    const LoadedPrior prior = load_prior(prior_of(file), RunContext{});
    summary["kind"] = "prior";
    summary["prior"] = prior.description;
    summary["shape"] = prior.denoiser->shape();
  } else {
    describe_array(file, summary);
  }
  return summary;
}

}  // namespace tweedie
