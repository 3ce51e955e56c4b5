// tweedie measure: RUN/y.npy, x.npy, run.toml (and mask.npy), from which `infer` takes all it needs.

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/config.h"
#include "io/run_folder.h"
#include "operator/k_space.h"
#include "run/complex_files.h"
#include "run/forward.h"
#include "run/measured_file.h"
#include "run/prior.h"
#include "run/services.h"
#include "tweedie/array_io.h"
#include "tweedie/likelihood.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

namespace tweedie {

namespace {

// Rows [first, first + count) of x: (N, *shape)
Tensor chosen(const Tensor& x, const MeasureConfig::Measurement& config) {
  if (config.first >= x.size(0)) {
    throw Error("measurement.first",
                fmt::format("{}, but there are {} samples, counted from 0", config.first, x.size(0)));
  }
  const int64_t count = config.count.value_or(x.size(0) - config.first);
  if (count < 1 || config.first + count > x.size(0)) {
    throw Error("measurement.count", fmt::format("samples {} to {} are asked for, but there are {}",
                                                 config.first, config.first + count - 1, x.size(0)));
  }
  return x.slice(0, config.first, config.first + count);
}

Tensor from_prior(const MeasureConfig& config, const RunContext& context,
                  std::vector<std::string>& warnings) {
  if (config.measurement.first > 0) {
    throw Error("measurement.first",
                fmt::format("{}, but draws from the prior have no order; give count alone",
                            config.measurement.first));
  }
  const LoadedPrior prior = load_prior(*config.prior, context);
  warnings = prior.warnings;
  const int64_t count = config.measurement.count.value_or(1);
  return sample_prior(prior, config.sampler, config.schedule, count, Noise(config.seed).stream(Stream::truth),
                      context);
}

// warnings: of the prior that they are drawn from
Tensor truths(const MeasureConfig& config, const RunContext& context, std::vector<std::string>& warnings) {
  const auto& measurement = config.measurement;
  const int sources = !measurement.truth.empty() + measurement.data.has_value();
  if (sources == 2) throw Error("measurement", "truth and data are both given; one of them is meant");
  if (measurement.data) return chosen(load_dataset(*measurement.data).x, measurement);
  if (!measurement.truth.empty()) {
    const Tensor x = real_image(read_array(measurement.truth), measurement.truth.string());
    if (x.dim() == 0) throw Error(measurement.truth.string(), "a single number, but an array is needed");
    // One truth unless it is asked which of many.
    return config.measurement.count || config.measurement.first > 0 ? chosen(x, measurement) : x.unsqueeze(0);
  }
  if (!config.prior)
    throw Error("measurement", "truth = \"file\", [measurement.data] or a [prior] to draw from is needed");
  return from_prior(config, context, warnings);
}

// What the noise is of is part of the measurement too, and moves with its folder.
void keep_noise_files(NoiseOptions& noise, const RunFolder& folder) {
  const auto keep = [&](std::filesystem::path& file, const char* name) {
    if (file.empty()) return;
    write_npy(folder.path(name), read_for_operator(file));
    file = name;
  };
  std::visit(
      [&](auto& o) {
        if constexpr (requires { o.std_file; }) keep(o.std_file, "noise_std.npy");
        if constexpr (requires { o.covariance; }) keep(o.covariance, "noise_covariance.npy");
        if constexpr (requires { o.background_file; }) keep(o.background_file, "noise_background.npy");
      },
      noise);
}

}  // namespace

Summary measure(const MeasureConfig& config, const RunContext& context) {
  const Stopwatch watch;
  std::vector<std::string> warnings;
  const Tensor x = truths(config, context, warnings).to(at::kDouble);
  const Shape shape(x.sizes().begin() + 1, x.sizes().end());
  const Noise noise(config.seed);
  const ForwardOperatorPtr forward =
      load_operator(config.measurement.forward, shape, noise.stream(Stream::user));
  const Likelihood likelihood(forward,
                              make_noise(config.measurement.noise, forward->codomain(), read_for_operator));
  Noise measurement_noise = noise.stream(Stream::measurement);
  const Tensor y = likelihood.simulate(x, measurement_noise);

  RunFolder folder(context.out, context.force);
  MeasureConfig resolved = config;
  if (auto* mask = std::get_if<MaskOptions>(&resolved.measurement.forward);
      mask != nullptr && mask->pattern != MaskOptions::Pattern::box && !mask->seed) {
    // Which pixels were kept is part of the measurement, and moves with its folder.
    const Tensor ones = at::ones(with_batch(1, forward->codomain()), at::kDouble);
    const Tensor kept = dynamic_cast<const LinearOperator&>(*forward).adjoint(ones)[0];
    write_npy(folder.path("mask.npy"), kept.ne(0).to(at::kByte));
    mask->pattern = MaskOptions::Pattern::file;
    mask->file = "mask.npy";
  }
  if (auto* sampled = cartesian_of(resolved.measurement.forward);
      sampled != nullptr && sampled->mask.empty() && is_random(sampled->sampling.pattern)) {
    const auto& part = dynamic_cast<const CartesianOperator&>(*forward);
    write_npy(folder.path("mask.npy"), part.k_space().keep().to(at::kByte));
    sampled->sampling.pattern = SamplingPattern::full;
    sampled->mask = "mask.npy";
  }
  keep_noise_files(resolved.measurement.noise, folder);
  write_npy(folder.path("x.npy"), x);
  write_npy(folder.path("y.npy"), as_in_files(y, *forward));
  write_atomically(folder.path("run.toml"), provenance("measure") + write_fields(resolved));
  Summary summary = start_summary("measure", config.seed, context);
  add_warnings(summary, warnings);
  summary["cases"] = x.size(0);
  summary["shape"] = shape;
  summary["measurements"] = product(forward->codomain());
  summary["noise"] = std::visit([](const auto& noise) { return noise.kind; }, config.measurement.noise);
  if (const auto std = likelihood.noise().noise_std()) summary["noise_std"] = *std;
  finish_summary(summary, watch);
  write_atomically(folder.path("summary.json"), summary.dump(2) + "\n");
  folder.commit();
  return summary;
}

}  // namespace tweedie
