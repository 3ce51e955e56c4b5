#include "tweedie/frechet.h"
#include "tweedie/metrics.h"
#include "tweedie/transport.h"

#include "check_tensor.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace tweedie {
namespace {

Tensor cost_between(const Tensor& a, const Tensor& b, double p) {
  return (a.unsqueeze(1) - b.unsqueeze(0)).square().sum(2).sqrt().pow(p);
}

double mean_cost_of_the_best_permutation(const Tensor& cost) {
  const int64_t n = cost.size(0);
  std::vector<int64_t> match(n);
  std::iota(match.begin(), match.end(), 0);
  double best = INFINITY;
  do {
    double sum = 0;
    for (int64_t i = 0; i < n; ++i) sum += cost[i][match[i]].item<double>();
    best = std::min(best, sum / static_cast<double>(n));
  } while (std::next_permutation(match.begin(), match.end()));
  return best;
}

// The certificate, from scratch: the plan has the sets' weights, the potentials nowhere exceed the cost, both
// meet on the plan's pairs, and their values are equal.
void expect_optimal(const Transport& plan, const SampleSet& a, const SampleSet& b, double p) {
  const Tensor cost = cost_between(a.x, b.x, p);
  const double slack = 1e-12 * cost.max().item<double>();
  const auto weight = [](const SampleSet& s) {
    return s.log_weight.defined() ? at::softmax(s.log_weight, 0) : at::full({s.x.size(0)}, 1.0 / s.x.size(0));
  };
  const Tensor of_a = at::zeros({a.x.size(0)}, at::kDouble).index_add(0, plan.row_a, plan.mass);
  const Tensor of_b = at::zeros({b.x.size(0)}, at::kDouble).index_add(0, plan.row_b, plan.mass);
  EXPECT_LT(max_difference(of_a, weight(a)), 1e-7);
  EXPECT_LT(max_difference(of_b, weight(b)), 1e-7);
  EXPECT_GT(plan.mass.min().item<double>(), 0);
  const Tensor left = cost - plan.potential_a.unsqueeze(1) - plan.potential_b;
  EXPECT_GT(left.min().item<double>(), -slack);
  EXPECT_LT(left.index({plan.row_a, plan.row_b}).max().item<double>(), slack);
  EXPECT_NEAR(plan.cost, cost.index({plan.row_a, plan.row_b}).dot(plan.mass).item<double>(), slack);
  EXPECT_NEAR(plan.cost, plan.dual, slack);
  EXPECT_NEAR(plan.distance, std::pow(plan.cost, 1 / p), 1e-12);
}

TEST(OptimalTransport, IsTheBestOfAllPermutations) {
  for (const uint64_t seed : {1, 2, 3, 4, 5, 6}) {
    const int64_t n = 2 + static_cast<int64_t>(seed);
    const Tensor a = normal({n < 8 ? n : 7, 2}, seed), b = normal({n < 8 ? n : 7, 2}, 100 + seed);
    for (const double p : {1.0, 2.0, 3.0}) {
      const Transport plan = optimal_transport(a, b, p);
      EXPECT_NEAR(plan.cost, mean_cost_of_the_best_permutation(cost_between(a, b, p)), 1e-12 * plan.cost);
      expect_optimal(plan, a, b, p);
    }
  }
}

TEST(OptimalTransport, OnALineMatchesQuantilesForAnySizesAndWeights) {
  const Tensor a = normal({200, 1}, 1), b = normal({140, 1}, 2) * 2 + 0.5;
  const Tensor log_weight = normal({200}, 3);
  for (const double p : {1.0, 2.0}) {
    EXPECT_NEAR(optimal_transport(a, b, p).distance, wasserstein_1d(a, b, p), 1e-10);
    EXPECT_NEAR(optimal_transport(a, a + 3, p).distance, 3, 1e-12);
    const SampleSet weighted{a, log_weight};
    EXPECT_NEAR(optimal_transport(weighted, b, p).distance, wasserstein_1d(weighted, b, p), 1e-10);
    EXPECT_GT(std::abs(optimal_transport(a, b, p).distance - wasserstein_1d(weighted, b, p)), 1e-3);
  }
}

// A linear map with a positive definite matrix is the gradient of a convex function, so the optimal one.
TEST(OptimalTransport, AConvexMapIsItsOwnPlan) {
  const Tensor a = normal({300, 3}, 4), s = random_covariance(3, 5), t = normal({3}, 6);
  const Tensor b = a.matmul(s) + t;
  const Transport plan = optimal_transport(a, b);
  EXPECT_TRUE(at::equal(plan.row_a, plan.row_b));
  EXPECT_NEAR(plan.cost, (b - a).square().sum(1).mean().item<double>(), 1e-12);
  const Tensor quarter_turn = at::tensor({0.0, -1.0, 1.0, 0.0}, at::kDouble).reshape({2, 2});
  const Tensor plane = normal({100, 2}, 7), turned = plane.matmul(quarter_turn);
  EXPECT_LT(optimal_transport(plane, turned).cost,
            0.5 * (turned - plane).square().sum(1).mean().item<double>());
}

TEST(OptimalTransport, IsProvedOptimalForWeightsTiesAndManyDimensions) {
  const Tensor a = normal({120, 40}, 8), b = 1.5 * normal({90, 40}, 9);
  expect_optimal(optimal_transport(a, b), a, b, 2);
  Tensor log_weight = 2 * normal({90}, 10);
  log_weight[4] = -INFINITY;
  log_weight[5] = -100;
  expect_optimal(optimal_transport(a, {b, log_weight}, 1), a, {b, log_weight}, 1);
  // On a grid most costs are tied and most pivots move nothing.
  const Tensor grid = (2 * normal({150, 2}, 11)).round(), other = (2 * normal({150, 2}, 12)).round();
  expect_optimal(optimal_transport(grid, other, 1), grid, other, 1);
  const Tensor point = at::zeros({5, 2}, at::kDouble);
  EXPECT_EQ(optimal_transport(point, point).distance, 0);
  EXPECT_NEAR(optimal_transport(point.slice(0, 0, 1), b.slice(1, 0, 2)).cost,
              b.slice(1, 0, 2).square().sum(1).mean().item<double>(), 1e-12);
}

TEST(OptimalTransport, TheCertificateRejectsAnotherPlan) {
  const Tensor a = normal({60, 2}, 13), b = normal({60, 2}, 14);
  const Transport plan = optimal_transport(a, b);
  const Tensor cost = cost_between(a, b, 2), nearest = cost.argmin(1);
  const Tensor left = cost - plan.potential_a.unsqueeze(1) - plan.potential_b;
  const Tensor row = at::arange(60, at::kLong);
  // Each draw to its own number, and swapping two pairs of the plan: dearer, by what the potentials leave.
  for (const Tensor& column : {row, plan.row_b.roll(1)}) {
    const Tensor& from = &column == &row ? row : plan.row_a;
    const double dearer = cost.index({from, column}).mean().item<double>() - plan.cost;
    EXPECT_NEAR(dearer, left.index({from, column}).mean().item<double>(), 1e-12);
    EXPECT_GT(dearer, 0.01);
  }
  // To the nearest is cheaper, but no plan.
  EXPECT_LT(cost.index({row, nearest}).mean().item<double>(), plan.dual);
  EXPECT_EQ(optimal_transport(a, a).distance, 0);
  EXPECT_EQ(optimal_transport(a, a.flip(0)).distance, 0);
}

TEST(OptimalTransport, AThousandDrawsAreMatched) {
  const Tensor a = normal({1000, 4}, 15), b = normal({1000, 4}, 16) + 0.3;
  const Transport plan = optimal_transport(a, b);
  EXPECT_NEAR(plan.cost, plan.dual, 1e-11 * plan.cost);
  EXPECT_GT(plan.distance, sliced_wasserstein(a, b, {50, SlicedConvention::max_w2, 1}));
}

TEST(OptimalTransport, RefusesByName) {
  const Tensor a = normal({4, 3}, 17);
  expect_error(
      [&] {
        optimal_transport(at::zeros({4001, 1}, at::kDouble), a.slice(1, 0, 1));
      },
      {"optimal_transport", "4001", "4000"});
  expect_error(
      [&] {
        sinkhorn_divergence(a.slice(1, 0, 1), at::zeros({4001, 1}, at::kDouble));
      },
      {"sinkhorn", "4001", "4000"});
  expect_error([&] { optimal_transport(a, a, 0.5); }, {"optimal_transport.p", "0.5"});
  expect_error([&] { optimal_transport(a, a.slice(1, 0, 2)); }, {"optimal_transport", "3", "2"});
  expect_error([&] { sinkhorn_divergence(a, a, {.epsilon = 0}); }, {"sinkhorn.epsilon", "0"});
  expect_error([&] { sinkhorn_divergence(a, a, {.max_iterations = 0}); }, {"sinkhorn", "0 iterations"});
}

TEST(Sinkhorn, TendsToTheExactCostAndIsZeroForEqualSets) {
  const Tensor a = normal({60, 2}, 18), b = normal({50, 2}, 19) + 1;
  const double exact = optimal_transport(a, b).cost;
  double error = INFINITY;
  for (const double epsilon : {0.3, 0.1, 0.03, 0.01}) {
    const SinkhornDivergence s = sinkhorn_divergence(a, b, {epsilon, 20000, 1e-4});
    EXPECT_TRUE(s.converged) << epsilon;
    EXPECT_LT(std::abs(s.divergence - exact), error);
    error = std::abs(s.divergence - exact);
    // to the tolerance times the size of the potentials
    EXPECT_NEAR(sinkhorn_divergence(a, a, {epsilon, 5000, 1e-6}).divergence, 0, 2e-5);
  }
  EXPECT_LT(error, 0.02 * exact);
  EXPECT_FALSE(sinkhorn_divergence(a, b, {0.001, 2, 1e-8}).converged);
}

// The shift adds |t|^2 and terms that the potentials take up, whatever epsilon is. For large epsilon the plan
// is the product, and what is left is the distance of the means.
TEST(Sinkhorn, OfATranslationIsItsSquareAndWithoutDetailThatOfTheMeans) {
  const Tensor a = normal({40, 3}, 20), t = at::tensor({1.0, -2.0, 0.5}, at::kDouble);
  EXPECT_NEAR(sinkhorn_divergence(a, a + t, {0.2, 5000, 1e-9}).divergence, t.dot(t).item<double>(), 1e-6);
  const Tensor b = 2 * normal({30, 3}, 21) + t;
  const double means = (a.mean(0) - b.mean(0)).square().sum().item<double>();
  EXPECT_NEAR(sinkhorn_divergence(a, b, {1e4, 1000, 1e-9}).divergence, means, 1e-3);
  EXPECT_GT(sinkhorn_divergence(a, b, {0.1, 1000, 1e-6}).divergence, means + 0.1);
}

TEST(Sinkhorn, AWeightOfThreeIsThreeCopies) {
  const Tensor a = normal({3, 2}, 22), b = normal({7, 2}, 23);
  const Tensor copies = a.index_select(0, at::tensor({0, 1, 1, 1, 2, 2}, at::kLong));
  const Tensor log_weight = at::tensor({1.0, 3.0, 2.0}, at::kDouble).log() + 1000;
  const double weighted = sinkhorn_divergence({a, log_weight}, b, {0.1, 5000, 1e-10}).divergence;
  EXPECT_NEAR(weighted, sinkhorn_divergence(copies, b, {0.1, 5000, 1e-10}).divergence, 1e-8);
  EXPECT_GT(std::abs(weighted - sinkhorn_divergence(a, b, {0.1, 5000, 1e-10}).divergence), 1e-3);
}

// Draws whose mean and covariance are exactly these
Tensor with_moments(const Tensor& mean, const Tensor& root, int64_t n, uint64_t seed) {
  Tensor z = normal({n, mean.size(0)}, seed);
  z = z - z.mean(0);
  const Tensor factor = at::linalg_cholesky(z.t().matmul(z) / (n - 1));
  return at::linalg_solve(factor, z.t()).t().matmul(root.t()) + mean;
}

Tensor root_of(const Tensor& s) {
  const auto [value, vector] = at::linalg_eigh(s);
  return (vector * value.sqrt()).matmul(vector.t());
}

TEST(GaussianW2, IsTheFormulaWhetherCovariancesCommuteOrNot) {
  const Tensor m = normal({3}, 24), t = normal({3}, 25);
  const Tensor s = at::tensor({1.0, 2.0, 0.5}, at::kDouble), u = at::tensor({3.0, 0.1, 0.5}, at::kDouble);
  // commuting: |m - t|^2 + sum of (s_i - u_i)^2 for standard deviations s, u
  const Tensor a = with_moments(m, at::diag(s), 50, 26), b = with_moments(t, at::diag(u), 40, 27);
  const double commuting = std::sqrt(((m - t).square().sum() + (s - u).square().sum()).item<double>());
  EXPECT_NEAR(gaussian_w2(a, b), commuting, 1e-10);

  const Tensor first = random_covariance(3, 28), second = random_covariance(3, 29), root = root_of(first);
  const Tensor c = with_moments(m, root, 50, 30), d = with_moments(t, root_of(second), 40, 31);
  const double shift = (m - t).square().sum().item<double>();
  const double trace =
      (first + second - 2 * root_of(root.matmul(second).matmul(root))).trace().item<double>();
  EXPECT_NEAR(gaussian_w2(c, d), std::sqrt(shift + trace), 1e-10);
  // |S^1/2 - T^1/2|_F is right for covariances that commute only.
  const double wrong = (root - root_of(second)).square().sum().item<double>();
  EXPECT_GT(std::abs(gaussian_w2(c, d) - std::sqrt(shift + wrong)), 1e-3);
}

TEST(GaussianW2, LongRowsAndWeightsAndEqualSets) {
  const Tensor a = normal({6, 30}, 32), t = normal({30}, 33);
  EXPECT_NEAR(gaussian_w2(a, a + t), t.norm().item<double>(), 1e-6);
  EXPECT_NEAR(gaussian_w2(a, a), 0, 1e-6);
  // S = A^T A of rank 5 and 4 S: W_2^2 = tr S
  const Tensor centred = a - a.mean(0);
  EXPECT_NEAR(gaussian_w2(centred, 2 * centred), std::sqrt(centred.square().sum().item<double>() / 5), 1e-8);
  // N(0, 4) reweighted to N(0, 1), of mean and standard deviation to 1/sqrt(ess) with ess about 700
  const Tensor wide = 2 * normal({1000, 1}, 34);
  const Tensor log_weight = (-wide.square() / 2 + wide.square() / 8).squeeze(1);
  const Tensor unit = with_moments(at::zeros({1}, at::kDouble), at::ones({1, 1}, at::kDouble), 100, 35);
  EXPECT_LT(gaussian_w2({wide, log_weight}, unit), 4 / std::sqrt(700.0));
  EXPECT_GT(gaussian_w2(wide, unit), 0.8);
}

}  // namespace
}  // namespace tweedie
