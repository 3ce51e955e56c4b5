// The arithmetic of a training step against the formulas in double, with a wrong one beside each.

#include "train/adam.h"

#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {

namespace {

double distance(const Tensor& a, const Tensor& b) {
  return ((a.to(at::kDouble) - b.to(at::kDouble)).norm() / b.to(at::kDouble).norm()).item<double>();
}

class AdamOf : public testing::TestWithParam<int64_t> {};  // numbers, with and without a rest of 16

TEST_P(AdamOf, StepIsTheFormula) {
  const int64_t count = GetParam();
  Noise noise(1);
  const auto normal = [&] { return noise.normal({count}, at::kFloat); };
  const Tensor g = normal(), w = normal(), m = normal(), v = normal().square(), average = normal();
  const AdamStep step{.clip = 0.5F, .rate = 0.01F, .second = 0.3F, .mix = 0.2F};
  const auto real = [](const Tensor& x) { return x.to(at::kDouble); };
  const Tensor clipped = 0.5 * real(g);
  const Tensor m1 = 0.9 * real(m) + 0.1 * clipped;
  const Tensor v1 = 0.999 * real(v) + 0.001 * clipped.square();
  const Tensor w1 = real(w) - 0.01 * m1 / (v1.sqrt() / 0.3 + 1e-8);
  const Tensor average1 = real(average) + 0.2 * (w1 - real(average));
  const Tensor without_clip = 0.999 * real(v) + 0.001 * real(g).square();

  const Tensor weight = w.clone(), moment1 = m.clone(), moment2 = v.clone(), mean = average.clone();
  adam_step(step, g.data_ptr<float>(), count,
            {weight.data_ptr<float>(), moment1.data_ptr<float>(), moment2.data_ptr<float>(),
             mean.data_ptr<float>()});
  EXPECT_LT(distance(moment1, m1), 1e-6);
  EXPECT_LT(distance(moment2, v1), 1e-6);
  EXPECT_LT(distance(weight, w1), 1e-6);
  EXPECT_LT(distance(mean, average1), 1e-6);
  EXPECT_GT(distance(moment2, without_clip), 1e-5);
}

TEST_P(AdamOf, GradientsAreAddedAndMeasured) {
  const int64_t count = GetParam();
  Noise noise(2);
  std::vector<Tensor> parts;
  std::vector<const float*> data;
  Tensor expected = at::zeros({count}, at::kDouble);
  for (int i = 0; i < 3; ++i) {
    parts.push_back(noise.normal({count}, at::kFloat));
    data.push_back(parts.back().data_ptr<float>());
    expected += 0.25 * parts.back().to(at::kDouble);
  }
  const Tensor sum = at::empty({count});
  const double norm2 = sum_gradients(data, count, 0.25F, sum.data_ptr<float>());
  EXPECT_LT(distance(sum, expected), 1e-6);
  EXPECT_NEAR(norm2 / expected.square().sum().item<double>(), 1, 1e-6);
  EXPECT_GT(distance(sum, expected - 0.25 * parts[2].to(at::kDouble)), 0.1);
}

INSTANTIATE_TEST_SUITE_P(Counts, AdamOf, testing::Values(1, 15, 16, 37, 256, 1001));

}  // namespace

}  // namespace tweedie
