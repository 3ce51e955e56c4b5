#pragma once
// Small operators of imaging, for tests of all operators.

#include "tweedie/imaging.h"
#include "tweedie/nufft.h"
#include "tweedie/tomography.h"

#include <ATen/ATen.h>

#include <string>
#include <vector>

namespace tweedie {

// Smooth enough, complex, (coils, H, W)
inline Tensor some_sensitivities(int64_t coils, int64_t height, int64_t width, uint64_t seed) {
  return at::view_as_complex(Noise(seed).normal({coils, height, width, 2}, at::kDouble));
}

inline Tensor some_mask(int64_t height, int64_t width, SamplingPattern pattern, uint64_t seed) {
  return sampling_mask(height, width, {.pattern = pattern, .acceleration = 2.2, .centre = 2}, Noise(seed));
}

// Eleven views of a small object
inline RadonGeometry some_geometry(RadonGeometry::Beam beam) {
  RadonGeometry g{.beam = beam, .angles = {}, .detectors = 9, .spacing = 1.3, .pixel = 1.1};
  for (int64_t i = 0; i < 11; ++i) g.angles.push_back(32.0 * static_cast<double>(i) - 7);
  if (beam != RadonGeometry::Beam::parallel) {
    g.source_distance = 20;
    g.detector_distance = 12;
  }
  return g;
}

// Case: {name, function that makes the operator}
template <class Case>
std::vector<Case> imaging_cases() {
  using Pattern = SamplingPattern;
  const KSpaceOptions complex{.complex = true}, corner{.centred = false},
      complex_corner{.complex = true, .centred = false};
  return {
      {"FourierFull",
       [] {
         return make_fourier({6, 5}, at::ones({6, 5}, at::kBool));
       }},
      {"FourierLines",
       [] {
         return make_fourier({1, 7, 8}, some_mask(7, 8, Pattern::lines, 1));
       }},
      {"FourierPoints",
       [] {
         return make_fourier({3, 8, 6}, some_mask(8, 6, Pattern::gaussian, 2));
       }},
      {"FourierCorner",
       [corner] {
         return make_fourier({7, 5}, some_mask(7, 5, Pattern::poisson, 3), corner);
       }},
      {"FourierComplex",
       [complex] {
         return make_fourier({2, 6, 7}, some_mask(6, 7, Pattern::gaussian, 4), complex);
       }},
      {"FourierComplexCorner",
       [complex_corner] {
         return make_fourier({2, 9, 4}, some_mask(9, 4, Pattern::equispaced, 5), complex_corner);
       }},
      {"MultiCoil",
       [] {
         return make_multi_coil({1, 6, 8}, some_sensitivities(3, 6, 8, 6),
                                some_mask(6, 8, Pattern::lines, 7));
       }},
      {"MultiCoilComplex",
       [complex] {
         return make_multi_coil({2, 7, 5}, some_sensitivities(2, 7, 5, 8),
                                some_mask(7, 5, Pattern::gaussian, 9), complex);
       }},
      {"MultiCoilRows",
       [] {
         SamplingOptions rows{.pattern = Pattern::lines, .acceleration = 2, .centre = 1, .columns = false};
         return make_multi_coil({8, 6}, some_sensitivities(2, 8, 6, 10), sampling_mask(8, 6, rows, Noise(11)),
                                {.centred = false});
       }},
      // So exact that A^T A as a convolution is the product of the two to the tests' tolerance.
      {"NufftRadial",
       [] {
         return make_nufft({1, 6, 5}, radial_trajectory(5, 8, false), {}, {.tolerance = 1e-12});
       }},
      {"NufftSpiralComplex",
       [] {
         return make_nufft({2, 5, 6}, spiral_trajectory(2, 20, 1.5), {},
                           {.complex = true, .tolerance = 1e-12});
       }},
      {"NufftCoils",
       [] {
         return make_nufft({6, 6}, radial_trajectory(3, 7, true), some_sensitivities(2, 6, 6, 12),
                           {.tolerance = 1e-12});
       }},
      {"NufftOfLowAccuracy",  // an exact adjoint all the same
       [] {
         return make_nufft({2, 7, 4}, radial_trajectory(4, 6, true), some_sensitivities(2, 7, 4, 13),
                           {.complex = true, .tolerance = 1e-2, .oversampling = 1.25, .toeplitz = false});
       }},
      {"RadonParallel",
       [] {
         return make_radon({1, 7, 6}, some_geometry(RadonGeometry::Beam::parallel));
       }},
      {"RadonFanFlat",
       [] {
         return make_radon({2, 5, 6}, some_geometry(RadonGeometry::Beam::fan_flat));
       }},
      {"RadonFanArc",
       [] {
         return make_radon({6, 8}, some_geometry(RadonGeometry::Beam::fan_arc));
       }},
  };
}

}  // namespace tweedie
