#include "kernel/sinusoids.h"

#include "check_tensor.h"

#include <numbers>

namespace tweedie {
namespace {

// Rows of phases of every size, some rows' ends not those of a vector
struct Case {
  int64_t count;
  double scale;
};

class Sinusoids : public testing::TestWithParam<Case> {};
INSTANTIATE_TEST_SUITE_P(Sizes, Sinusoids,
                         testing::Values(Case{1, 1}, Case{5, 100}, Case{16, 3000}, Case{32, 1e5},
                                         Case{40, 1e8}));

TEST_P(Sinusoids, AreThoseOfTheRoundedPhases) {
  const auto [count, scale] = GetParam();
  const Tensor x = (scale * normal({300}, 1)).to(at::kFloat), f = at::linspace(-1, 2, count, at::kFloat);
  const Tensor ours = at::empty({300, 2 * count}, at::kFloat);
  sinusoids(x.data_ptr<float>(), 300, f.data_ptr<float>(), count, ours.data_ptr<float>());
  const Tensor phase = x.unsqueeze(1) * f, exact = phase.to(at::kDouble);
  const auto distance = [&](const Tensor& p) { return max_difference(ours, at::cat({p.cos(), p.sin()}, 1)); };
  EXPECT_LT(distance(exact), 3 * 0x1p-23);
  if (scale < 100) return;
  // Whole turns taken off in float32
  const Tensor turns = (phase / (2 * std::numbers::pi)).round();
  EXPECT_GT(distance((phase - turns * (2 * std::numbers::pi)).to(at::kDouble)), 3 * 0x1p-23);
}

}  // namespace
}  // namespace tweedie
