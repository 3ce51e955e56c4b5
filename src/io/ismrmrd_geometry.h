#pragma once
// Where an image of ISMRMRD lies: the middle of a slice in mm from the isocenter, and the unit vectors of its
// axes, all in the patient's coordinates of DICOM (LPS+). The affines of ArrayMeta count in RAS+.

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace tweedie {

struct IsmrmrdGeometry {
  std::array<float, 3> position{}, read{}, phase{}, slice{};  // read is x, phase y, slice z
};

// The 3 x 4 affine of a grid of size (x, y, z) and spacing (x, y, z) in mm whose middle, size / 2, is at the
// position; empty where the directions are no orthogonal unit vectors (older files have zeros) or a number is
// not finite.
std::vector<double> affine_of(const IsmrmrdGeometry& geometry, const std::array<int64_t, 3>& size,
                              const std::array<double, 3>& spacing);

// From the middle of a slice to that of the next one along the slices' direction, negative where they are
// stacked the other way; nothing unless the steps are all the same and along it. Two places at least.
std::optional<double> slice_step(const std::vector<IsmrmrdGeometry>& places);

// Its inverse; spacing: of the affine. Nothing where an axis has no length.
struct PlacedGeometry {
  IsmrmrdGeometry geometry;
  std::array<double, 3> spacing;
};
std::optional<PlacedGeometry> geometry_of(const std::vector<double>& affine,
                                          const std::array<int64_t, 3>& size);

}  // namespace tweedie
