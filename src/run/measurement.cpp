#include "run/measurement.h"

#include "core/shape.h"
#include "io/config.h"
#include "operator/linear.h"
#include "run/complex_files.h"
#include "run/forward.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <cmath>
#include <limits>

namespace tweedie {

namespace {

// Files may lack the axis of one slice or one channel, or have it: array as (*shape) or (cases, *shape) if it
// can be.
Tensor fitted(const Tensor& array, const Shape& shape) {
  const bool stack = array.dim() == static_cast<int64_t>(shape.size()) + 1 &&
                     array.sizes().slice(1) == at::IntArrayRef(shape);
  if (stack || array.dim() == 0) return array;
  const Tensor one = with_axes_of(array, shape);
  return one.sizes() == at::IntArrayRef(shape) ? one : with_axes_of(array, with_batch(array.size(0), shape));
}

// (*shape) or (cases, *shape) -> (cases, *shape)
Tensor with_cases(const Tensor& given, const Shape& shape, const std::string& place, const char* what) {
  const Tensor array = fitted(given, shape);
  if (array.sizes() == at::IntArrayRef(shape)) return array.unsqueeze(0);
  if (array.dim() == static_cast<int64_t>(shape.size()) + 1 &&
      array.sizes().slice(1) == at::IntArrayRef(shape)) {
    if (array.size(0) == 0) throw Error(place, fmt::format("no {} in it", what));
    return array;
  }
  throw Error(place, fmt::format("shape {}, but {} of shape {} or a stack of them is needed",
                                 to_string(array.sizes()), what, to_string(shape)));
}

std::optional<PixelRange> pixel_range(const MeasurementConfig& config,
                                      const std::optional<PixelRange>& otherwise) {
  if (config.low.has_value() != config.high.has_value()) {
    throw Error(config.low ? "measurement.high" : "measurement.low",
                "is missing; the range of pixels is both or neither");
  }
  if (!config.low) return otherwise;
  if (!(std::isfinite(*config.low) && std::isfinite(*config.high) && *config.low < *config.high))
    throw Error("measurement.low",
                fmt::format("{} to {}, but a finite range is meant", *config.low, *config.high));
  return PixelRange{*config.low, *config.high};
}

const GaussianNoiseOptions* unknown_level(const NoiseOptions& noise) {
  const auto* o = std::get_if<GaussianNoiseOptions>(&noise);
  return o != nullptr && o->estimate != GaussianNoiseOptions::Estimate::none ? o : nullptr;
}

// With a level from y where it is not stated, at least roughly where a chain only starts from it.
Likelihood likelihood_of(const std::shared_ptr<const ForwardOperator>& forward, const NoiseOptions& noise,
                         const Tensor& y) {
  const auto* unknown = unknown_level(noise);
  if (unknown == nullptr) return {forward, make_noise(noise, forward->codomain(), read_for_operator)};
  try {
    return GaussianLikelihood(forward, estimate_noise_std(y, *forward));
  } catch (const Error&) {
    const double spread = y.std().item<double>();
    if (unknown->estimate == GaussianNoiseOptions::Estimate::data || !(spread > 0)) throw;
    return GaussianLikelihood(forward, spread / 3);
  }
}

// What `tweedie measure` left, as if it had been written out.
MeasurementConfig from_run(const MeasurementConfig& config) {
  const auto file = config.run / "run.toml";
  if (!config.y.empty() || !config.truth.empty()) {
    throw Error("measurement.run", "y and truth are in that folder; they can't be given too");
  }
  if (!std::filesystem::exists(file)) {
    throw Error(config.run.string(), "no run.toml in it: a folder that `tweedie measure` made is meant");
  }
  const MeasureConfig run = Config::read(file).as<MeasureConfig>();
  MeasurementConfig result;
  result.shape = config.shape;
  result.y = config.run / "y.npy";
  result.truth = config.run / "x.npy";
  result.forward = run.measurement.forward;
  result.noise = run.measurement.noise;
  return result;
}

bool fits(const Tensor& y, const Shape& codomain) {
  return y.sizes() == at::IntArrayRef(codomain) || (y.dim() == static_cast<int64_t>(codomain.size()) + 1 &&
                                                    y.sizes().slice(1) == at::IntArrayRef(codomain));
}

// What x may be if this array holds one x or a stack of them, the likelier first: three axes are one image
// with up to three channels.
void add_candidates(const Tensor& array, std::vector<Shape>& candidates) {
  const Shape whole = array.sizes().vec();
  if (whole.empty()) return;
  const Shape part(whole.begin() + 1, whole.end());
  const bool stack = whole.size() > 3 || (whole.size() == 3 && whole[0] > 3);
  if (stack) candidates.push_back(part);
  candidates.push_back(whole);
  if (!stack && !part.empty()) candidates.push_back(part);
}

}  // namespace

Measured load_measurement(const MeasurementConfig& given) {
  const MeasurementConfig config = given.run.empty() ? given : from_run(given);
  if (!config.shape.empty() || config.y.empty()) return load_measurement(given, config.shape);
  const Tensor y = read_measured(config.y, {}).values;
  std::vector<Shape> candidates;
  if (!config.truth.empty())
    add_candidates(real_image(read_measured(config.truth, {}).values, config.truth.string()), candidates);
  if (std::holds_alternative<IdentityOptions>(config.forward) ||
      std::holds_alternative<BlurOptions>(config.forward))
    add_candidates(y, candidates);
  for (const Shape& shape : candidates) {
    try {
      const auto forward = make_operator(config.forward, shape, Noise(0), read_for_operator);
      if (!fits(real_measurement(y, *forward, config.y.string()), forward->codomain())) continue;
    } catch (const Error&) {
      continue;
    }
    return load_measurement(given, shape);
  }
  throw Error("measurement.shape",
              "none, but without a [prior] the shape of x is needed, as in shape = [1, 28, 28]");
}

Measured load_measurement(const MeasurementConfig& given, const Shape& shape,
                          const std::optional<PixelRange>& prior_range) {
  const MeasurementConfig config = given.run.empty() ? given : from_run(given);
  if (config.y.empty())
    throw Error("measurement", "y = \"file\" or run = \"folder of tweedie measure\" is needed");
  if (const auto* mask = std::get_if<MaskOptions>(&config.forward);
      mask != nullptr && mask->pattern == MaskOptions::Pattern::random && !mask->seed) {
    throw Error("measurement.operator.pattern",
                "random: which pixels were measured must be known; use measurement.run, pattern = \"file\", "
                "or a seed");
  }
  if (const auto* sampled = cartesian_of(config.forward);
      sampled != nullptr && sampled->mask.empty() && is_random(sampled->sampling.pattern)) {
    throw Error("measurement.operator.pattern",
                "random: which part of k-space was measured must be known; use measurement.run, or a mask");
  }
  const ForwardOperatorPtr forward = load_operator(config.forward, shape, Noise(0));
  const auto range = pixel_range(config, prior_range);
  const MeasuredFile file = read_measured(config.y, range);
  const Tensor given_y =
                   fitted(real_measurement(file.values, *forward, config.y.string()), forward->codomain()),
               y = with_cases(given_y, forward->codomain(), config.y.string(), "a measurement");
  Measured result{likelihood_of(forward, config.noise, y),
                  y,
                  given_y.dim() > static_cast<int64_t>(forward->codomain().size()),
                  {},
                  {}};
  require_centre(y, *forward, config.y.string());
  result.like = file.meta;
  result.range = file.range;
  result.dtype = file.dtype;
  result.likelihood.noise().require_possible(y, config.y.string());
  if (const auto* o = unknown_level(config.noise)) {
    result.estimated = o->estimate == GaussianNoiseOptions::Estimate::data;
    if (!result.estimated) result.gibbs = {o->sweeps, o->prior_shape, o->prior_scale};
  }
  if (!config.truth.empty()) {
    MeasuredFile truth = read_measured(config.truth, range);
    result.truth =
        with_cases(real_image(truth.values, config.truth.string()), shape, config.truth.string(), "a truth");
    result.like = std::move(truth.meta);
    result.range = truth.range;
    if (result.truth.size(0) != result.y.size(0)) {
      throw Error(config.truth.string(),
                  fmt::format("{} truths for {} measurements", result.truth.size(0), result.y.size(0)));
    }
  }
  if (std::holds_alternative<MaskOptions>(config.forward)) {
    const Tensor ones = at::ones(with_batch(1, forward->codomain()), at::kDouble);
    result.unmeasured = result.likelihood.linear()->adjoint(ones)[0].eq(0);
  }
  return result;
}

Tensor picture_of(const Measured& measured, const Shape& shape) {
  const auto is_picture = [](at::IntArrayRef s) { return s.size() == 3 && (s[0] == 1 || s[0] == 3); };
  if (!is_picture(shape)) return {};
  if (measured.unmeasured.defined()) {
    const Tensor hidden = measured.unmeasured.unsqueeze(0);
    return measured.likelihood.linear()
        ->adjoint(measured.y)
        .masked_fill(hidden, std::numeric_limits<double>::quiet_NaN());
  }
  // k-space is no picture; its adjoint is.
  const auto* linear = measured.likelihood.linear();
  if (linear != nullptr && linear->measures_complex()) return linear->adjoint(measured.y);
  if (const Shape codomain = measured.likelihood.forward().codomain(); is_picture(codomain)) {
    if (codomain == shape) return measured.y;
    if (codomain[0] != shape[0]) return {};
    if (shape[1] % codomain[1] == 0 && shape[2] % codomain[2] == 0) {
      return measured.y.repeat_interleave(shape[1] / codomain[1], 2)
          .repeat_interleave(shape[2] / codomain[2], 3);
    }
  }
  return {};
}

}  // namespace tweedie
