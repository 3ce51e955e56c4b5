// Densities in the plane: each integrates to 1 and is the law of its samples.

#include "tweedie/densities.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t cells = 12, inner = 12;  // of a side; points of a cell's side for its integral

class EveryDensity : public testing::TestWithParam<int> {
 protected:
  Density density = static_cast<Density>(GetParam());
};

// Probability of each of cells x cells squares of [-3, 3]^2, (cells, cells), by the midpoint rule
Tensor cell_probabilities(Density density) {
  const double side = 6.0 / (cells * inner);
  const Tensor line = -3 + side * (at::arange(cells * inner, at::kDouble) + 0.5);
  const Tensor x = at::stack({line.unsqueeze(1).expand({-1, line.size(0)}).flatten(),
                              line.unsqueeze(0).expand({line.size(0), -1}).flatten()},
                             1);
  return (log_prob(density, x).exp() * side * side).view({cells, inner, cells, inner}).sum({1, 3});
}

Tensor cell_counts(const Tensor& x) {
  const Tensor cell = ((x + 3) / 0.5).floor().to(at::kLong);
  const Tensor inside = cell.ge(0).logical_and(cell.lt(cells)).all(1);
  const Tensor index = (cell.select(1, 0) * cells + cell.select(1, 1)).masked_select(inside);
  return at::bincount(index, {}, cells * cells).view({cells, cells}).to(at::kDouble);
}

// Pearson's statistic over cells that expect at least 5, as a z: chi2 with k degrees has variance 2 k
double misfit(const Tensor& counts, const Tensor& probability, double n) {
  const Tensor expected = n * probability, enough = expected > 5;
  const Tensor terms = ((counts - expected).square() / expected).masked_select(enough);
  const auto k = static_cast<double>(terms.numel());
  return (terms.sum().item<double>() - k) / std::sqrt(2 * k);
}

// The funnel reaches beyond the square: P(|x_1| < 3, |x_2| < 3) as an integral over x_1
double funnel_in_the_square() {
  const Tensor a = -3 + (at::arange(6000, at::kDouble) + 0.5) / 1000;
  return ((-a.square() / 2).exp() * at::erf(3 * (-a / 2).exp() / std::sqrt(2.0))).sum().item<double>() /
         (1000 * std::sqrt(2 * std::acos(-1.0)));
}

TEST_P(EveryDensity, IntegratesToOneAndIsTheLawOfItsSamples) {
  const Tensor probability = cell_probabilities(density);
  EXPECT_NEAR(probability.sum().item<double>(), density == Density::funnel ? funnel_in_the_square() : 1,
              2e-3);
  const int64_t n = 20000;
  Noise noise(3);
  const Tensor x = sample(density, n, noise);
  EXPECT_EQ(x.sizes(), at::IntArrayRef({n, 2}));
  EXPECT_LT(misfit(cell_counts(x), probability, n), 4.5);
  // Another law is told apart: the same samples a little wider
  EXPECT_GT(misfit(cell_counts(1.06 * x), probability, n), 6);
}

// Where there is a mixture, it is the same law at no noise.
TEST_P(EveryDensity, MixtureIsTheDensity) {
  const auto mixture = mixture_of(density);
  EXPECT_EQ(mixture.has_value(), density != Density::checkerboard && density != Density::funnel);
  if (!mixture) return;
  Noise noise(4);
  const Tensor x = sample(density, 100, noise);
  EXPECT_LT(max_difference(mixture->log_prob(x), log_prob(density, x)), 1e-12);
}

std::string name(const testing::TestParamInfo<int>& info) {
  std::string text = names(Density{})[info.param];
  text.erase(std::remove(text.begin(), text.end(), '-'), text.end());
  return text;
}

INSTANTIATE_TEST_SUITE_P(Kinds, EveryDensity, testing::Range(0, 8), name);

TEST(Density, BadInputIsNamed) {
  expect_error([] { log_prob(Density::rings, at::zeros({3, 3})); }, {"x", "(3, 3)"});
}

}  // namespace
}  // namespace tweedie
