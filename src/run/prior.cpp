#include "run/prior.h"

#include "core/shape.h"
#include "core/workers.h"
#include "io/config.h"
#include "io/model.h"
#include "tweedie/array_io.h"
#include "tweedie/torchscript_prior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

Tensor read_real(const std::filesystem::path& path) {
  const Tensor array = read_array(path);
  if (array.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  return array.to(at::kDouble);
}

LoadedPrior wrap(GaussianPrior prior, std::string description) {
  LoadedPrior result;
  result.gaussian = std::make_shared<GaussianPrior>(std::move(prior));
  result.denoiser = result.gaussian;
  result.dtype = at::kDouble;
  result.description = std::move(description);
  return result;
}

LoadedPrior load(const GaussianOptions& o, const RunContext&, const std::string& place) {
  if (o.data) {
    if (!o.mean.empty() || !o.covariance.empty() || !o.variance.empty() || !o.factor.empty() || o.std) {
      throw Error(place, "data is fitted, so mean, covariance, variance, factor and std can't be given too");
    }
    const Dataset data = load_dataset(*o.data);
    LoadedPrior result = wrap(GaussianPrior::fit(data.x, o.rank), "Gaussian fitted on " + data.name);
    result.low = data.low;
    result.high = data.high;
    return result;
  }
  if (o.rank) throw Error(place + ".rank", "only a fit to data has a rank; give [prior.data]");
  if (o.mean.empty()) throw Error(place, "a gaussian needs mean = \"file\", or [prior.data] to fit");
  const int forms = !o.covariance.empty() + !o.variance.empty() + (!o.factor.empty() || o.std.has_value());
  if (forms != 1) {
    throw Error(
        place,
        fmt::format("{} of covariance, variance, and factor and/or std are given; exactly one is meant",
                    forms == 0 ? "none" : "several"));
  }
  const Tensor mean = read_real(o.mean);
  if (mean.dim() == 0) throw Error(o.mean.string(), "a single number, but an array of x's shape is needed");
  const double std = o.std.value_or(0);
  if (!o.covariance.empty())
    return wrap(GaussianPrior::full(mean, read_real(o.covariance)), "Gaussian, full covariance");
  if (!o.variance.empty())
    return wrap(GaussianPrior::diagonal(mean, read_real(o.variance)), "Gaussian, diagonal");
  if (!o.factor.empty()) {
    const Tensor factor = read_real(o.factor);
    if (factor.dim() != 2) {
      throw Error(o.factor.string(),
                  fmt::format("shape {}, but (d, r) is needed", to_string(factor.sizes())));
    }
    return wrap(GaussianPrior::low_rank(mean, factor, at::ones({factor.size(1)}, at::kDouble), std * std),
                "Gaussian, low rank");
  }
  return wrap(GaussianPrior::diagonal(mean, at::full_like(mean, std * std)), "Gaussian, isotropic");
}

LoadedPrior load(const TorchScriptFile& o, const RunContext&, const std::string&) {
  LoadedPrior result;
  result.denoiser = load_torchscript(o.file.string(), {o.shape, o.path, o.prediction});
  result.description = "TorchScript " + o.file.filename().string();
  return result;
}

LoadedPrior load_network(const std::filesystem::path& file, const RunContext& context) {
  const Model model = read_model(file);
  const bool bf16 =
      context.precision == Precision::bf16 ||
      (context.precision == Precision::automatic && (context.device.is_cuda() || cpu_has_bfloat16()));
  const Weights weights = model.weights.to(context.device, bf16 ? at::kBFloat16 : at::kFloat);
  LoadedPrior result;
  result.denoiser = std::make_shared<EdmDenoiser>(
      std::make_shared<NetworkPredictor>(make_network(model.card.network, model.card.shape), weights),
      model.card.sigma_data, model.card.shape);
  result.low = model.card.low;
  result.high = model.card.high;
  result.description = fmt::format("{}, {} weights, trained on {}", file.filename().string(),
                                   model.weights.count(), model.card.data);
  return result;
}

}  // namespace

LoadedPrior load_prior(const PriorConfig& config, const RunContext& context, const std::string& place) {
  if (config.model.empty()) {
    return std::visit([&](const auto& prior) { return load(prior, context, place); },
                      config.analytic.value());
  }
  const auto extension = config.model.extension();
  if (extension == ".safetensors") return load_network(config.model, context);
  if (extension == ".pt") {
    TorchScriptFile script;
    script.file = config.model;
    return load(script, context, place);
  }
  if (extension == ".toml") {
    const PriorConfig inner = Config::read(config.model).as<PriorFile>().prior;
    if (!inner.model.empty()) {
      throw Error(config.model.string(), "its [prior] names another model; a prior of its own is meant");
    }
    return load_prior(inner, context, config.model.string() + ": prior");
  }
  throw Error(config.model.string(),
              "not a MODEL: .safetensors of `tweedie train`, TorchScript .pt or .toml is meant");
}

PriorConfig prior_of(const std::filesystem::path& model) {
  if (model.empty()) throw Error("MODEL", "an empty name: .safetensors, TorchScript .pt or .toml is meant");
  PriorConfig config;
  config.model = std::filesystem::absolute(model);
  return config;
}

std::shared_ptr<const Sampler> make_sampler(const SamplerConfig& config, int64_t steps) {
  if (const auto* heun = std::get_if<HeunOptions>(&config.rule)) return std::make_shared<Heun>(*heun, steps);
  return std::make_shared<Ddim>(std::get<DdimOptions>(config.rule));
}

}  // namespace tweedie
