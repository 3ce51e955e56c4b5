#include "run/prior.h"

#include "core/shape.h"
#include "core/workers.h"
#include "io/config.h"
#include "run/learned.h"
#include "tweedie/array_io.h"
#include "tweedie/empirical_prior.h"
#include "tweedie/mixture_prior.h"
#include "tweedie/normalising_flow.h"
#include "tweedie/torchscript_prior.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>

namespace tweedie {

namespace {

Tensor read_real(const std::filesystem::path& path) {
  const Tensor array = read_array(path);
  if (array.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  return array.to(at::kDouble);
}

template <class Prior>
LoadedPrior wrap(Prior prior, std::string description) {
  LoadedPrior result;
  const auto shared = std::make_shared<Prior>(std::move(prior));
  if constexpr (std::is_same_v<Prior, GaussianPrior>) result.gaussian = shared;
  result.denoiser = result.analytic = shared;
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

LoadedPrior load(const MixtureOptions& o, const RunContext&, const std::string& place) {
  const int forms = !o.covariances.empty() + !o.variances.empty() + (!o.factors.empty() || o.std.has_value());
  if (forms != 1) {
    throw Error(
        place,
        fmt::format("{} of covariances, variances, and factors and/or std are given; exactly one is meant",
                    forms == 0 ? "none" : "several"));
  }
  const Tensor weights = read_real(o.weights).squeeze().reshape({-1}), means = read_real(o.means);
  const std::string text = fmt::format("Gaussian mixture, {} components", weights.numel());
  const Tensor std = at::scalar_tensor(o.std.value_or(0), at::kDouble);
  if (!o.covariances.empty())
    return wrap(MixturePrior::full(weights, means, read_real(o.covariances)), text + ", full covariances");
  if (!o.variances.empty())
    return wrap(MixturePrior::diagonal(weights, means, read_real(o.variances)), text + ", diagonal");
  if (!o.factors.empty())
    return wrap(MixturePrior::low_rank(weights, means, read_real(o.factors), std.square()),
                text + ", low rank");
  return wrap(MixturePrior::isotropic(weights, means, std), text + ", isotropic");
}

LoadedPrior load(const EmpiricalOptions& o, const RunContext&, const std::string&) {
  const Dataset data = load_dataset(o.data);
  const int64_t count = std::min(o.count.value_or(data.x.size(0)), data.x.size(0));
  LoadedPrior result =
      wrap(EmpiricalPrior(data.x.slice(0, 0, count)), fmt::format("{} samples of {}", count, data.name));
  result.low = data.low;
  result.high = data.high;
  return result;
}

LoadedPrior load(const TorchScriptFile& o, const RunContext&, const std::string&) {
  LoadedPrior result;
  result.denoiser = load_torchscript(o.file.string(), {o.shape, o.path, o.prediction});
  result.description = "TorchScript " + o.file.filename().string();
  return result;
}

// One overload for each sampler, so that a forgotten one does not compile.
using SamplerPtr = std::shared_ptr<const Sampler>;
SamplerPtr make(const HeunOptions& o, int64_t steps) {
  return std::make_shared<Heun>(o, steps);
}
SamplerPtr make(const EulerOptions& o, int64_t) {
  return std::make_shared<Euler>(o);
}
SamplerPtr make(const DpmSolver2mOptions& o, int64_t) {
  return std::make_shared<DpmSolver2m>(o);
}
SamplerPtr make(const DdimOptions& o, int64_t) {
  return std::make_shared<Ddim>(o);
}
SamplerPtr make(const DdpmOptions& o, int64_t) {
  return std::make_shared<Ddpm>(o);
}
SamplerPtr make(const PredictorCorrectorOptions& o, int64_t) {
  return std::make_shared<PredictorCorrector>(o);
}
SamplerPtr make(const AnnealedLangevinOptions& o, int64_t) {
  return std::make_shared<AnnealedLangevin>(o);
}
SamplerPtr make(const UlaOptions& o, int64_t) {
  return std::make_shared<Ula>(o);
}
SamplerPtr make(const MalaOptions& o, int64_t) {
  return std::make_shared<Mala>(o);
}

}  // namespace

namespace {

LoadedPrior load_file(const PriorConfig& config, const RunContext& context) {
  const auto extension = config.model.extension();
  if (extension == ".safetensors") return load_learned(config.model, context);
  if (extension == ".pt") {
    TorchScriptFile script;
    script.file = config.model;
    return load(script, context, "prior");
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

}  // namespace

LoadedPrior load_prior(const PriorConfig& config, const RunContext& context, const std::string& place) {
  LoadedPrior prior = load_model(config, context, place);
  if (prior.denoiser == nullptr) {
    throw Error(config.model.string(),
                prior.description +
                    ": this family has no denoiser; `sample`, `likelihood` and "
                    "`evaluate` take it, and posteriors need a diffusion model or a mixture");
  }
  if (prior.guided) throw Error(place + ".label", "is missing: guidance is towards a class");
  return prior;
}

LoadedPrior load_drawable(const PriorConfig& config, const RunContext& context) {
  LoadedPrior model = load_model(config, context);
  if (model.denoiser == nullptr && model.generative == nullptr)
    throw Error(config.model.string(), model.description + ": this family has no draws");
  return model;
}

Shape shape_of(const LoadedPrior& model) {
  return model.denoiser != nullptr ? model.denoiser->shape() : model.generative->shape();
}

LoadedPrior load_model(const PriorConfig& config, const RunContext& context, const std::string& place) {
  LoadedPrior prior;
  if (config.model.empty()) {
    prior = std::visit([&](const auto& options) { return load(options, context, place); },
                       config.analytic.value());
  } else {
    prior = load_file(config, context);
    add_condition(config, prior, context, place);
  }
  return config.tile ? tiled(prior, *config.tile, context) : prior;
}

Tensor read_rows(const std::filesystem::path& path, const Shape& shape) {
  Tensor x = read_array(path);
  if (x.is_complex()) throw Error(path.string(), "complex numbers, but real ones are needed");
  if (!x.is_floating_point()) x = x.to(at::kFloat);
  if (x.sizes() == at::IntArrayRef(shape)) x = x.unsqueeze(0);
  require_batch_of(x, shape, path.string());
  return x;
}

Tensor sample_prior(const LoadedPrior& prior, const SamplerConfig& sampler, const Schedule& schedule,
                    int64_t count, const Noise& noise, const RunContext& context) {
  Noise of_truths = noise;
  if (prior.analytic) return prior.analytic->sample(count, of_truths);
  const int64_t steps = sampler.steps.value_or(32);
  const DrawOptions options = context.draw_options(prior.dtype, prior.slice_rows);
  return draw([&](const auto&) { return prior.denoiser; }, prior.denoiser->shape(),
              *make_sampler(sampler, steps), make_schedule(schedule, steps), count, 1, noise,
              context.observer, options)
      .select(1, 0);
}

double grey_of(const LoadedPrior& model) {
  const auto* flow = dynamic_cast<const FlowDistribution*>(model.generative.get());
  return flow != nullptr ? flow->dequantise().value_or(1) : 1;
}

std::shared_ptr<const GenerativeModel> latent_diffusion(const LoadedPrior& model,
                                                        std::shared_ptr<const Sampler> sampler,
                                                        const NoiseSchedule& schedule) {
  const auto& [space, of] = model.latent.value();
  return std::make_shared<LatentDiffusion>(space, of, std::move(sampler), schedule, model.classes);
}

void check_labels(const LoadedPrior& model, const std::vector<int64_t>& labels) {
  if (labels.empty()) {
    if (model.guided) throw Error("labels", "none, but guidance is towards a class: which one?");
    return;
  }
  if (model.classes == 0 || (model.denoiser != nullptr && !model.given))
    throw Error("labels", "this model was not trained with classes, or has a label already");
  for (const int64_t label : labels) {
    if (label < 0 || label >= model.classes)
      throw Error("labels", fmt::format("{}: 0 to {} is meant", label, model.classes - 1));
  }
}

Sampled sample_model(const LoadedPrior& model, const SampleConfig& config, const RunContext& context) {
  check_labels(model, config.labels);
  // A case for each label, or one of none
  const auto cases = std::max<int64_t>(1, static_cast<int64_t>(config.labels.size()));
  const Tensor labels = at::tensor(config.labels, at::kLong);
  Sampled result;
  if (!config.labels.empty())
    result.labels = labels.repeat({config.count / cases + 1}).slice(0, 0, config.count);
  if (model.denoiser == nullptr) {
    auto generative = model.generative;
    if (model.latent) {
      const int64_t steps = config.sampler.steps.value_or(32);
      const auto sampler = make_sampler(config.sampler, steps);
      generative = latent_diffusion(model, sampler, make_schedule(config.schedule, steps));
      result.evaluations = sampler->total_evaluations(steps);
    }
    result.x = generative->sample(config.count, Noise(config.seed), context.threads, result.labels);
    return result;
  }
  const int64_t steps = config.sampler.steps.value_or(32);
  const auto sampler = make_sampler(config.sampler, steps);
  const auto denoiser = [&](const std::vector<int64_t>& of_rows) {
    return config.labels.empty() ? model.denoiser : model.given(labels.index_select(0, at::tensor(of_rows)));
  };
  result.x = draw(denoiser, model.denoiser->shape(), *sampler, make_schedule(config.schedule, steps),
                  (config.count + cases - 1) / cases, cases, Noise(config.seed), context.observer,
                  context.draw_options(model.dtype, model.slice_rows), &result.record)
                 .flatten(0, 1)
                 .slice(0, 0, config.count);
  result.evaluations = sampler->total_evaluations(steps);
  return result;
}

std::shared_ptr<const Sampler> make_sampler(const SamplerConfig& config, int64_t steps) {
  return std::visit([&](const auto& rule) { return make(rule, steps); }, config.rule);
}

}  // namespace tweedie
