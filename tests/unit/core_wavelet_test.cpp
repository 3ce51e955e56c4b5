// The wavelet transform: orthonormal, with the moments that its filters promise.
#include "core/wavelet.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

class EveryWavelet : public testing::TestWithParam<int> {};
INSTANTIATE_TEST_SUITE_P(Moments, EveryWavelet, testing::Values(1, 2, 3, 4));

TEST_P(EveryWavelet, FilterIsOrthonormalWithItsVanishingMoments) {
  const auto h = daubechies(GetParam());
  const auto n = static_cast<int>(h.size());
  ASSERT_EQ(n, 2 * GetParam());
  for (int shift = 0; shift < n; shift += 2) {
    double sum = 0;
    for (int k = 0; k + shift < n; ++k) sum += h[k] * h[k + shift];
    EXPECT_NEAR(sum, shift == 0 ? 1 : 0, 1e-14);
  }
  for (int power = 0; power < GetParam(); ++power) {
    double moment = 0;
    for (int k = 0; k < n; ++k) moment += (k % 2 == 0 ? 1 : -1) * h[n - 1 - k] * std::pow(k, power);
    EXPECT_NEAR(moment, 0, 1e-11) << power;
  }
}

TEST_P(EveryWavelet, TransformIsOrthonormal) {
  for (const Shape& shape : {Shape{32}, Shape{16, 32}, Shape{2, 32, 16}}) {
    const WaveletTransform transform(shape, GetParam(), 0);
    Shape batch = shape;
    batch.insert(batch.begin(), 3);
    const Tensor x = normal(batch, 1), y = normal(batch, 2);
    const Tensor wx = transform.forward(x);
    EXPECT_LT(max_difference(transform.inverse(wx), x), 1e-13);
    EXPECT_NEAR((wx * transform.forward(y)).sum().item<double>(), (x * y).sum().item<double>(), 1e-11);
  }
}

// A ramp's details vanish but at the seam, where the signal is continued by its other end.
TEST(WaveletTransform, DetailsOfARampVanish) {
  const Tensor ramp = at::arange(32, at::kDouble).unsqueeze(0);
  const auto details = [&](int moments) {
    const Tensor c = WaveletTransform({32}, moments, 1).forward(ramp).narrow(1, 16, 12);
    return c.abs().max().item<double>();
  };
  EXPECT_LT(details(2), 1e-12);
  EXPECT_GT(details(1), 0.1);  // Haar's see a slope
}

TEST(WaveletTransform, AveragesLieInTheCorner) {
  const WaveletTransform transform({8, 8}, 1, 2);
  const Tensor c = transform.forward(at::ones({1, 8, 8}, at::kDouble));
  EXPECT_LT(max_difference(transform.averages(c), at::full({1, 2, 2}, 4.0, at::kDouble)), 1e-13);
  EXPECT_NEAR(c.square().sum().item<double>(), 64, 1e-12);
}

TEST(WaveletTransform, RefusesSidesThatCannotBeHalved) {
  expect_error([] { WaveletTransform({27, 28}, 1, 0); }, {"method.levels", "(27, 28)", "even"});
  expect_error([] { WaveletTransform({28, 28}, 1, 3); }, {"method.levels", "3", "allow 2"});
  expect_error([] { WaveletTransform({4, 4}, 4, 0); }, {"method.levels", "at least 8"});
}

}  // namespace
}  // namespace tweedie
