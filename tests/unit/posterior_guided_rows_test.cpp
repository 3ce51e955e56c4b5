// The two forms of a guided step agree, and the step has the law that it claims.

#include "posterior/guided_rows.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t rows = 37, d = 21;  // neither a multiple of a register's lanes

// (k, d) with orthonormal rows
Tensor basis_of(int64_t k, at::ScalarType dtype) {
  return std::get<0>(at::linalg_qr(normal({d, k}, 1))).t().to(dtype).contiguous();
}

class GuidedRows : public testing::TestWithParam<std::pair<int64_t, at::ScalarType>> {
 protected:
  const int64_t k = GetParam().first;
  const at::ScalarType dtype = GetParam().second;
  const Tensor basis = basis_of(k, dtype);
  const double tolerance = dtype == at::kFloat ? 2e-5 : 1e-12;
};

TEST_P(GuidedRows, WeightsAreTheSameEitherWay) {
  std::vector<GuidedWeight> weights;
  for (int64_t i = 0; i < k; ++i) {
    const auto v = static_cast<double>(i);
    weights.push_back({0.3 * v - 1, 2 + v, 0.5 + v});
  }
  const Tensor x = normal({rows, d}, 2, dtype), denoised = normal({rows, d}, 3, dtype);
  const Tensor one = at::empty_like(x), two = at::empty_like(x);
  const Tensor few = weigh_few(basis, weights, x, denoised, 0.4, one),
               many = weigh_many(basis, weights, x, denoised, 0.4, two);
  EXPECT_LT(max_difference(one, 0.6 * denoised + 0.4 * x), tolerance);
  EXPECT_LT(max_difference(one, two), tolerance);
  EXPECT_LT(max_difference(few, many), 10 * tolerance);
  // Wrong twin: the potential of the other level
  for (GuidedWeight& w : weights) std::swap(w.before, w.after);
  if (k > 0) EXPECT_GT(max_difference(weigh_few(basis, weights, x, denoised, 0.4, one), many), 0.1);
}

TEST_P(GuidedRows, MovesAreTheSameEitherWay) {
  const double std = 0.7;
  std::vector<GuidedMove> moves;
  for (int64_t i = 0; i < k; ++i)
    moves.push_back(GuidedMove::towards(static_cast<double>(i) - 2, 0.2 * static_cast<double>(i), std));
  const Tensor mean = normal({rows, d}, 4, dtype), parent = at::arange(rows).flip(0).contiguous();
  for (const double s : {std, 0.0}) {
    Noise one(5), two(5);
    const Tensor few = move_few(basis, moves, mean, parent, s, one),
                 many = move_many(basis, moves, mean, parent, s, two);
    EXPECT_LT(max_difference(few, many), tolerance);
    // A target without variance is reached.
    if (k > 0) EXPECT_LT((at::matmul(few, basis[0]) + 2).abs().max().item<double>(), 10 * tolerance);
  }
}

INSTANTIATE_TEST_SUITE_P(Counts, GuidedRows,
                         testing::Values(std::pair{0, at::kDouble}, std::pair{1, at::kFloat},
                                         std::pair{3, at::kDouble},
                                         std::pair{static_cast<int>(few_guided), at::kFloat}));

// N(m, std^2) N(target, variance) in one coordinate, N(m, std^2) in the others
TEST(GuidedMove, HasItsLaw) {
  const double std = 0.7, variance = 0.3, target = 2;
  const Tensor basis = basis_of(1, at::kDouble), mean = normal({1, d}, 6);
  Noise noise(7);
  constexpr int64_t n = 20000;
  const Tensor x = move_few(basis, {GuidedMove::towards(target, variance, std)}, mean,
                            at::zeros({n}, at::kLong), std, noise);
  const double gain = std * std / (std * std + variance), m = at::mv(mean, basis[0]).item<double>();
  const Tensor guided = at::mv(x, basis[0]);
  const double v = gain * variance, error = std::sqrt(v / n);
  EXPECT_LT(std::abs(guided.mean().item<double>() - (gain * target + (1 - gain) * m)), 4 * error);
  EXPECT_LT(std::abs(guided.var().item<double>() / v - 1), 4 * std::sqrt(2.0 / n));
  // Wrong twin: a spread that the target has not narrowed
  EXPECT_GT(std::abs(guided.var().item<double>() / (std * std) - 1), 4 * std::sqrt(2.0 / n));
  const Tensor total = (x - mean).square().sum(1) - (guided - m).square();  // of d - 1 coordinates
  EXPECT_LT(std::abs(total.mean().item<double>() / (std * std * (d - 1)) - 1),
            4 * std::sqrt(2.0 / n / (d - 1)));
}

}  // namespace
}  // namespace tweedie
