#include "operator/make_imaging.h"

#include "core/shape.h"
#include "operator/image_planes.h"
#include "operator/radon.h"

#include <ATen/ATen.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numbers>

namespace tweedie {

namespace {

// (H, W) bool from a file's (H, W) or (W) of 0 and 1
Tensor keep_from(const Tensor& values, int64_t height, int64_t width) {
  const bool line = values.dim() == 1 && values.size(0) == width;
  if (!line && values.sizes() != at::IntArrayRef({height, width})) {
    throw Error("file.mask", fmt::format("shape {}, but ({}, {}) or ({},) is needed",
                                         to_string(values.sizes()), height, width, width));
  }
  if (values.is_complex() || values.ne(0).logical_and(values.ne(1)).any().item<bool>()) {
    throw Error("file.mask", "values besides 0 and 1, but 1 for measured and 0 for not is needed");
  }
  return values.to(at::kBool).expand({height, width}).contiguous();
}

// As k-space lies: with frequency 0 in the middle, or first
Tensor keep_of(const CartesianOptions& options, const OperatorContext& context) {
  context.in_config([&] { require_image(context.domain, options.k_space.complex, "operator.domain"); });
  const int64_t height = context.domain[context.domain.size() - 2], width = context.domain.back();
  if (options.mask.empty()) {
    const Tensor keep =
        context.in_config([&] { return sampling_mask(height, width, options.sampling, context.noise); });
    return options.k_space.centred ? keep : keep.roll({-(height / 2), -(width / 2)}, {0, 1});
  }
  if (options.sampling.pattern != SamplingPattern::full) {
    throw Error(context.place + ".pattern", "given beside a mask; one of them is meant");
  }
  const Tensor values = context.read(options.mask, "mask");
  return context.in_config([&] { return keep_from(values, height, width); },
                           {{"mask", "mask", options.mask}});
}

}  // namespace

LinearOperatorPtr make_imaging(const FourierOptions& options, const OperatorContext& context) {
  const Tensor keep = keep_of(options.cartesian, context);
  return context.in_config([&] { return make_fourier(context.domain, keep, options.cartesian.k_space); },
                           {{"keep", "mask", options.cartesian.mask}});
}

LinearOperatorPtr make_imaging(const MultiCoilOptions& options, const OperatorContext& context) {
  const Tensor keep = keep_of(options.cartesian, context);
  const Tensor s = context.read(options.sensitivities, "sensitivities");
  return context.in_config(
      [&] { return make_multi_coil(context.domain, s, keep, options.cartesian.k_space); },
      {{"keep", "mask", options.cartesian.mask}, {"sensitivities", "sensitivities", options.sensitivities}});
}

namespace {

// Without gaps at the edge of k-space, where neighbours may be 1 / n apart, n the image's longer side:
// spirals of all interleaves together have n / 2 turns, and an arm is pi turns / 2 long.
Tensor generated_trajectory(const NufftOptions& o, const Shape& domain) {
  const int64_t n = std::max(domain[domain.size() - 2], domain.back());
  if (o.trajectory != NufftOptions::Trajectory::spiral) {
    return radial_trajectory(o.spokes, o.samples.value_or(std::max<int64_t>(2, n)), o.golden);
  }
  const auto across = static_cast<double>(n);
  const double turns = o.turns.value_or(std::max(1.0, 0.5 * across / static_cast<double>(o.interleaves)));
  const auto least = static_cast<int64_t>(std::ceil(0.5 * std::numbers::pi * turns * across));
  return spiral_trajectory(o.interleaves, o.samples.value_or(std::max<int64_t>(2, least)), turns);
}

std::vector<double> angles_of(const RadonOptions& o, const OperatorContext& context) {
  std::vector<double> result;
  if (o.angles.empty()) {
    const double range = o.range.value_or(o.beam == RadonGeometry::Beam::parallel ? 180 : 360);
    for (int64_t i = 0; i < o.views; ++i)
      result.push_back(o.first + range * static_cast<double>(i) / static_cast<double>(o.views));
    return result;
  }
  const Tensor file = context.read(o.angles, "angles");
  if (file.dim() != 1 || file.is_complex()) {
    throw Error(context.place + ".angles",
                fmt::format("{}: shape {} of {}, but (views) of degrees is needed", o.angles.string(),
                            to_string(file.sizes()), toString(file.scalar_type())));
  }
  const Tensor degrees = file.to(at::kDouble).contiguous();
  return {degrees.data_ptr<double>(), degrees.data_ptr<double>() + degrees.numel()};
}

// Elements that the shadow of the image's circle covers
int64_t detectors_of(const RadonGeometry& g, int64_t height, int64_t width) {
  const double radius = 0.5 * g.pixel * std::hypot(static_cast<double>(height), static_cast<double>(width));
  const double whole = g.source_distance + g.detector_distance;
  double half = radius;
  if (g.beam == RadonGeometry::Beam::fan_arc)
    half = whole * std::asin(std::min(1.0, radius / g.source_distance));
  if (g.beam == RadonGeometry::Beam::fan_flat)
    half = whole * std::tan(std::asin(std::min(0.99, radius / g.source_distance)));
  return static_cast<int64_t>(std::ceil(2 * half / g.spacing));
}

}  // namespace

LinearOperatorPtr make_imaging(const NufftOptions& options, const OperatorContext& context) {
  context.in_config([&] { require_domain(context.domain, 2, "operator.domain"); });
  const bool file = options.trajectory == NufftOptions::Trajectory::file;
  const Tensor trajectory =
      file ? context.read(options.file, "file")
           : context.in_config([&] { return generated_trajectory(options, context.domain); });
  Tensor s;
  if (!options.sensitivities.empty()) s = context.read(options.sensitivities, "sensitivities");
  std::vector<GivenAs> given{{"sensitivities", "sensitivities", options.sensitivities}};
  if (file) given.push_back({"trajectory", "file", options.file});
  return context.in_config([&] { return make_nufft(context.domain, trajectory, s, options.settings); },
                           given);
}

LinearOperatorPtr make_imaging(const RadonOptions& o, const OperatorContext& context) {
  context.in_config([&] { require_domain(context.domain, 2, "operator.domain"); });
  RadonGeometry g{.beam = o.beam,
                  .angles = angles_of(o, context),
                  .detectors = o.detectors.value_or(1),
                  .spacing = o.spacing,
                  .pixel = o.pixel,
                  .source_distance = o.source_distance,
                  .detector_distance = o.detector_distance};
  const int64_t height = context.domain[context.domain.size() - 2], width = context.domain.back();
  const std::vector<GivenAs> given{{"angles", "angles", o.angles}};
  context.in_config([&] { require_geometry(g, height, width); }, given);
  if (!o.detectors) g.detectors = detectors_of(g, height, width);
  return context.in_config([&] { return make_radon(context.domain, g); }, given);
}

}  // namespace tweedie
