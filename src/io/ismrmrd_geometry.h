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
// position; empty where the directions are no orthogonal unit vectors (older files have zeros).
std::vector<double> affine_of(const IsmrmrdGeometry& geometry, const std::array<int64_t, 3>& size,
                              const std::array<double, 3>& spacing);

// Its inverse; spacing: of the affine. Nothing where an axis has no length.
struct PlacedGeometry {
  IsmrmrdGeometry geometry;
  std::array<double, 3> spacing;
};
std::optional<PlacedGeometry> geometry_of(const std::vector<double>& affine,
                                          const std::array<int64_t, 3>& size);

}  // namespace tweedie
