#pragma once
// The field tables (core/fields.h) of operators of magnetic resonance imaging and tomography.

#include "core/fields.h"
#include "tweedie/imaging_options.h"

namespace tweedie {

constexpr auto names(SamplingPattern) {
  return std::array{"full", "equispaced", "lines", "gaussian", "poisson"};
}

constexpr auto names(NufftOptions::Trajectory) {
  return std::array{"radial", "spiral", "file"};
}
constexpr auto names(RadonGeometry::Beam) {
  return std::array{"parallel", "fan-flat", "fan-arc"};
}
constexpr auto names(RampFilter) {
  return std::array{"ramp", "shepp-logan", "hann"};
}

inline void fields(FieldVisitor& visit, CartesianOptions& o) {
  visit(o.mask, {"mask", "file of what is measured, instead of a pattern: 1 or 0, (H, W) or (W)"});
  visit(o.sampling.pattern, {"pattern", "of what is measured"});
  visit(o.sampling.acceleration,
        {"acceleration", "all entries or lines, by those measured", {.min = 1, .max = 1e6}});
  visit(o.sampling.centre,
        {"centre", "lines, or points of a side, always measured at the centre", {.min = 0}});
  visit(o.sampling.spread,
        {"spread", "gaussian: standard deviation, as a share of the axis", {.min = 0, .open_min = true}});
  visit(o.sampling.columns, {"columns", "lines are columns of k-space; false: rows"});
  visit(o.k_space.complex, {"complex", "x is (2, H, W): real and imaginary part"});
  visit(o.k_space.centred, {"centred", "frequency 0 is in the middle of k-space; false: first"});
}
inline void fields(FieldVisitor& visit, FourierOptions& o) {
  visit.flatten(o.cartesian);
}
inline void fields(FieldVisitor& visit, MultiCoilOptions& o) {
  visit(o.sensitivities, {"sensitivities", "of the coils: (coils, H, W), complex", {.required = true}});
  visit.flatten(o.cartesian);
}

inline void fields(FieldVisitor& visit, NufftOptions& o) {
  visit(o.trajectory, {"trajectory", "through k-space: generated, or from `file`"});
  visit(o.file, {"file", "file: (points, 2) or (lines, samples, 2), cycles per pixel along height, width"});
  visit(o.spokes, {"spokes", "radial: lines through the centre", {.min = 1, .max = 1e6}});
  visit(o.golden, {"golden", "radial: spokes turn by the golden angle; false: uniformly over 180 degrees"});
  visit(o.interleaves, {"interleaves", "spiral: arms", {.min = 1, .max = 1e6}});
  visit(o.turns, {"turns",
                  "spiral: of an arm; as many as leave no gaps when not given",
                  {.min = 0, .max = 1e6, .open_min = true}});
  visit(o.samples, {"samples", "of a line; as many as leave no gaps when not given", {.min = 2, .max = 1e8}});
  visit(o.sensitivities,
        {"sensitivities", "of the coils: (coils, H, W), complex; none: one that sees all alike"});
  visit(o.settings.complex, {"complex", "x is (2, H, W): real and imaginary part"});
  visit(o.settings.tolerance, {"tolerance", "relative error of the transform", {.min = 1e-12, .max = 0.1}});
  visit(o.settings.oversampling, {"oversampling", "of the grid", {.min = 1.25, .max = 2}});
  visit(o.settings.toeplitz, {"toeplitz", "A^T A by one convolution"});
}
inline void fields(FieldVisitor& visit, RadonOptions& o) {
  visit(o.beam, {"beam", "parallel rays, or a fan onto a flat detector or an arc around the source"});
  visit(o.views, {"views", "number of angles", {.min = 1, .max = 1e6}});
  visit(o.range, {"range",
                  "degrees that they cover; parallel: 180, fan: 360 when not given",
                  {.min = 0, .max = 360, .open_min = true}});
  visit(o.first, {"first", "angle of the first view, degrees", {.min = -360, .max = 360}});
  visit(o.angles, {"angles", "file of them instead: (views), degrees"});
  visit(o.detectors,
        {"detectors", "elements; as many as see the whole image when not given", {.min = 1, .max = 1e6}});
  visit(o.spacing, {"spacing", "of elements", {.min = 0, .open_min = true}});
  visit(o.pixel, {"pixel", "side of a pixel, in the same unit", {.min = 0, .open_min = true}});
  visit(o.source_distance,
        {"source_distance", "fan: from the source to the middle of the image", {.min = 0}});
  visit(o.detector_distance, {"detector_distance", "fan: from there to the detector", {.min = 0}});
}

}  // namespace tweedie
