// Who has offspring, and which particles are kept: unbiased for every function of them.

#include "posterior/particle_engine.h"
#include "tweedie/particles.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

TEST(Resample, OffspringAreAsTheSchemesPromise) {
  const Tensor log_weight = 2 * normal({40}, 1), w = at::softmax(log_weight, 0);
  const int64_t seeds = 4000;
  for (const auto scheme :
       {Resampling::multinomial, Resampling::systematic, Resampling::stratified, Resampling::residual}) {
    Tensor total = at::zeros({40}, at::kDouble), square = at::zeros({40}, at::kDouble);
    double furthest = 0;
    for (int64_t seed = 0; seed < seeds; ++seed) {
      Noise noise(seed);
      const Tensor index = resample(log_weight, scheme, noise);
      EXPECT_TRUE(index.slice(0, 1).ge(index.slice(0, 0, -1)).all().item<bool>());
      const Tensor offspring = at::bincount(index, {}, 40).to(at::kDouble);
      total += offspring;
      square += offspring.square();
      furthest = std::max(furthest, max_difference(offspring, 40 * w));
    }
    const Tensor mean = total / seeds, variance = square / seeds - mean.square();
    const Tensor z = (mean - 40 * w) / (variance / seeds).sqrt().clamp_min(1e-9);
    EXPECT_LT(z.abs().max().item<double>(), 4.5) << static_cast<int>(scheme);
    // Wrong twin: the weights a little flattened
    const Tensor flat = at::softmax(0.9 * log_weight, 0);
    EXPECT_GT(((mean - 40 * flat) / (variance / seeds).sqrt().clamp_min(1e-9)).abs().max().item<double>(),
              4.5);
    if (scheme == Resampling::systematic) EXPECT_LT(furthest, 1);
    if (scheme == Resampling::stratified) EXPECT_LT(furthest, 2);
    if (scheme == Resampling::multinomial) EXPECT_GT(furthest, 2);
  }
  Noise noise(1);
  expect_error([&] { resample(at::full({3}, -INFINITY, at::kDouble), Resampling::systematic, noise); },
               {"log_weight", "-inf"});
}

TEST(Thin, KeepsExpectationsAndHeavyParticles) {
  const Tensor log_weight = 2 * normal({50}, 1), w = log_weight.exp(), value = normal({50}, 2);
  const double exact = (w * value).sum().item<double>();
  std::vector<double> estimates;
  for (int64_t seed = 0; seed < 2000; ++seed) {
    Noise noise(seed);
    const auto [index, kept] = thin(log_weight, 12, noise);
    ASSERT_EQ(index.size(0), 12);
    EXPECT_NEAR(kept.exp().sum().item<double>() / w.sum().item<double>(), 1, 1e-9);
    EXPECT_TRUE(index.eq(w.argmax()).any().item<bool>());
    estimates.push_back((kept.exp() * value.index_select(0, index)).sum().item<double>());
  }
  const Tensor e = at::tensor(estimates, at::kDouble);
  const double z = ((e.mean() - exact) / (e.std() / std::sqrt(2000.0))).item<double>();
  EXPECT_LT(std::abs(z), 4);
}

}  // namespace
}  // namespace tweedie
