#include "run/measurement.h"

#include "core/shape.h"
#include "io/config.h"
#include "operator/linear.h"
#include "run/complex_files.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <limits>

namespace tweedie {

namespace {

// (*shape) or (cases, *shape) -> (cases, *shape)
Tensor with_cases(const Tensor& array, const Shape& shape, const std::string& place, const char* what) {
  if (array.sizes() == at::IntArrayRef(shape)) return array.unsqueeze(0);
  if (array.dim() == static_cast<int64_t>(shape.size()) + 1 &&
      array.sizes().slice(1) == at::IntArrayRef(shape)) {
    if (array.size(0) == 0) throw Error(place, fmt::format("no {} in it", what));
    return array;
  }
  throw Error(place, fmt::format("shape {}, but {} of shape {} or a stack of them is needed",
                                 to_string(array.sizes()), what, to_string(shape)));
}

// What `tweedie measure` left, as if it had been written out.
InferConfig::Measurement from_run(const InferConfig::Measurement& config) {
  const auto file = config.run / "run.toml";
  if (!config.y.empty() || !config.truth.empty()) {
    throw Error("measurement.run", "y and truth are in that folder; they can't be given too");
  }
  if (!std::filesystem::exists(file)) {
    throw Error(config.run.string(), "no run.toml in it: a folder that `tweedie measure` made is meant");
  }
  const MeasureConfig run = Config::read(file).as<MeasureConfig>();
  InferConfig::Measurement result;
  result.y = config.run / "y.npy";
  result.truth = config.run / "x.npy";
  result.forward = run.measurement.forward;
  result.noise = run.measurement.noise;
  return result;
}

}  // namespace

Measured load_measurement(const InferConfig::Measurement& given, const Shape& shape) {
  const InferConfig::Measurement config = given.run.empty() ? given : from_run(given);
  if (config.y.empty())
    throw Error("measurement", "y = \"file\" or run = \"folder of tweedie measure\" is needed");
  if (const auto* mask = std::get_if<MaskOptions>(&config.forward);
      mask != nullptr && mask->pattern == MaskOptions::Pattern::random) {
    throw Error(
        "measurement.operator.pattern",
        "random: which pixels were measured must be known; use measurement.run, or pattern = \"file\"");
  }
  if (const auto* sampled = cartesian_of(config.forward);
      sampled != nullptr && sampled->mask.empty() && is_random(sampled->sampling.pattern)) {
    throw Error("measurement.operator.pattern",
                "random: which part of k-space was measured must be known; use measurement.run, or a mask");
  }
  const LinearOperatorPtr forward = make_operator(config.forward, shape, Noise(0), read_array);
  const double noise_std = std::get<GaussianNoiseOptions>(config.noise).std;
  const Tensor y = read_measurement(config.y, *forward);
  Measured result{GaussianLikelihood(forward, noise_std),
                  with_cases(y, forward->codomain(), config.y.string(), "a measurement"),
                  y.dim() > static_cast<int64_t>(forward->codomain().size()),
                  {},
                  {}};
  require_centre(result.y, *forward, config.y.string());
  if (!config.truth.empty()) {
    result.truth = with_cases(read_image_array(config.truth), shape, config.truth.string(), "a truth");
    if (result.truth.size(0) != result.y.size(0)) {
      throw Error(config.truth.string(),
                  fmt::format("{} truths for {} measurements", result.truth.size(0), result.y.size(0)));
    }
  }
  if (std::holds_alternative<MaskOptions>(config.forward)) {
    const Tensor ones = at::ones(with_batch(1, forward->codomain()), at::kDouble);
    result.unmeasured = forward->adjoint(ones)[0].eq(0);
  }
  return result;
}

Tensor picture_of(const Measured& measured, const Shape& shape) {
  const auto is_picture = [](at::IntArrayRef s) { return s.size() == 3 && (s[0] == 1 || s[0] == 3); };
  if (!is_picture(shape)) return {};
  const auto* forward = measured.likelihood.linear();
  if (measured.unmeasured.defined()) {
    const Tensor hidden = measured.unmeasured.unsqueeze(0);
    return forward->adjoint(measured.y).masked_fill(hidden, std::numeric_limits<double>::quiet_NaN());
  }
  // k-space is no picture; its adjoint is.
  if (dynamic_cast<const ComplexMeasured*>(forward) != nullptr) return forward->adjoint(measured.y);
  if (is_picture(forward->codomain())) {
    const auto codomain = forward->codomain();
    if (codomain == shape) return measured.y;
    if (shape[1] % codomain[1] == 0 && shape[2] % codomain[2] == 0) {
      return measured.y.repeat_interleave(shape[1] / codomain[1], 2)
          .repeat_interleave(shape[2] / codomain[2], 3);
    }
  }
  return {};
}

}  // namespace tweedie
