// The benchmark of random mixture problems against an independent reproduction of it.

#include "run/mixture_benchmark.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

struct Sampled {
  double mean, error;  // standard error of the mean over problems

  explicit Sampled(const std::vector<double>& distances) {
    const Tensor x = at::tensor(distances, at::kDouble);
    mean = x.mean().item<double>();
    error = x.std().item<double>() / std::sqrt(static_cast<double>(distances.size()));
  }
};

// d = 8, two measurements, 20 steps, where 20 problems on our side tell the methods apart
TEST(MixtureBenchmark, AgreesWithTheReproduction) {
  const MixtureCell cell = mixture_cells()[2];
  ASSERT_TRUE(cell.d == 8 && cell.dy == 2 && cell.steps == 20);
  MixtureBenchmarkOptions options;
  options.draws = 600;
  const MixtureDistances found = mixture_distances(cell, options, {});
  const Sampled mcgdiff(found.at("mcgdiff")), mmps(found.at("mmps")), ddrm(found.at("ddrm")),
      dps(found.at("dps"));
  // Another 20 problems there: as much spread as here. MCGdiff and TDS may be better than it, not worse.
  const auto agrees = [](const Sampled& ours, double theirs) {
    return std::abs(ours.mean - theirs) < 4 * std::sqrt(2.0) * ours.error;
  };
  EXPECT_TRUE(agrees(mmps, *cell.mmps)) << mmps.mean;
  EXPECT_TRUE(agrees(ddrm, *cell.ddrm)) << ddrm.mean;
  EXPECT_TRUE(agrees(dps, *cell.dps)) << dps.mean;
  EXPECT_LT(mcgdiff.mean, *cell.mcgdiff + 4 * std::sqrt(2.0) * mcgdiff.error);
  EXPECT_LT(Sampled(found.at("tds")).mean, *cell.mcgdiff);
  // Their order
  const auto below = [](const Sampled& a, const Sampled& b) {
    return b.mean - a.mean > 2 * std::hypot(a.error, b.error);
  };
  EXPECT_TRUE(below(mcgdiff, mmps) && below(mmps, ddrm) && below(mmps, dps));
  // Wrong twins: one method's distances for another's
  EXPECT_FALSE(agrees(mcgdiff, *cell.mmps));
  EXPECT_FALSE(agrees(mmps, *cell.ddrm));
}

}  // namespace
}  // namespace tweedie
