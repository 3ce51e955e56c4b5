// Matrix completion: optimality conditions, solvers that agree, what is recovered.
#include "tweedie/matrix_completion.h"

#include "completion/low_rank.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

Tensor low_rank(int64_t m, int64_t n, int64_t rank, uint64_t seed) {
  return at::matmul(normal({m, rank}, seed), normal({rank, n}, seed + 1));
}
Tensor some_of(int64_t m, int64_t n, double share, uint64_t seed) {
  Noise noise(seed);
  return noise.uniform({1, m * n}, at::kDouble).view({m, n}).lt(share);
}
Completion complete(const Tensor& m, const Tensor& mask, const CompletionOptions& o) {
  return complete_matrix(m, mask, o, Noise(1));
}
double relative(const Tensor& a, const Tensor& b) {
  return ((a - b).norm() / b.norm()).item<double>();
}

// G = P (M - X) = w (U V^T + W), ||W||_2 <= 1, U^T W = W V = 0
double conditions(const Tensor& m, const Tensor& mask, const Tensor& x, double w) {
  const auto [u, s, vt] = at::linalg_svd(x, false);
  const int64_t r = s.gt(1e-9 * s[0]).sum().item<int64_t>();
  const Tensor ur = u.narrow(1, 0, r), vr = vt.narrow(0, 0, r);
  const Tensor rest = mask.to(at::kDouble) * (m - x) / w - at::matmul(ur, vr);
  const double along = std::max(at::matmul(ur.t(), rest).abs().max().item<double>(),
                                at::matmul(rest, vr.t()).abs().max().item<double>());
  return std::max(along, std::get<1>(at::linalg_svd(rest))[0].item<double>() - 1);
}

TEST(Completion, SolutionsMeetTheOptimalityConditions) {
  const Tensor m = low_rank(30, 20, 3, 1) + 0.3 * normal({30, 20}, 3), mask = some_of(30, 20, 0.6, 4);
  const double w = 2;
  for (const auto method : {CompletionMethod::fista, CompletionMethod::admm}) {
    const Completion c =
        complete(m, mask, {.method = method, .weight = w, .iterations = 20000, .tolerance = 1e-9});
    EXPECT_TRUE(c.converged);
    EXPECT_LT(conditions(m, mask, c.low_rank, w), 1e-6);
    EXPECT_LT(c.kkt_residual, 1e-6);
    // Another weight's answer is none of this one's.
    EXPECT_GT(conditions(m, mask, c.low_rank, 1.1 * w), 0.05);
  }
}

TEST(Completion, SolversAgree) {
  const Tensor m = low_rank(30, 20, 3, 5) + 0.3 * normal({30, 20}, 6), mask = some_of(30, 20, 0.6, 7);
  const auto at_weight = [&](CompletionMethod method, SvdKind svd) {
    return complete(m, mask,
                    {.method = method, .weight = 2, .iterations = 20000, .tolerance = 1e-10, .svd = svd})
        .low_rank;
  };
  const Tensor fista = at_weight(CompletionMethod::fista, SvdKind::full);
  EXPECT_LT(relative(at_weight(CompletionMethod::admm, SvdKind::full), fista), 1e-6);
  EXPECT_LT(relative(at_weight(CompletionMethod::fista, SvdKind::randomised), fista), 1e-6);
  // By proximal gradients without momentum, as the definition has them
  Tensor x = at::zeros_like(m);
  const Tensor p = mask.to(at::kDouble);
  for (int k = 0; k < 3000; ++k) {
    const auto [u, s, vt] = at::linalg_svd(x + p * (m - x), false);
    x = at::matmul(u * (s - 2).clamp_min(0), vt);
  }
  EXPECT_LT(relative(x, fista), 1e-6);
}

// Where the truth is what all of them find, they find the same.
TEST(Completion, ConstrainedSolversAgreeAndRecover) {
  const Tensor truth = low_rank(60, 60, 2, 8), mask = some_of(60, 60, 0.5, 10);
  const auto of = [&](CompletionMethod method, std::optional<double> weight = {}) {
    return complete(truth.masked_fill(mask.logical_not(), NAN), mask,
                    {.method = method, .weight = weight, .iterations = 20000, .tolerance = 1e-8});
  };
  const Completion svt = of(CompletionMethod::svt), admm = of(CompletionMethod::admm),
                   logdet = of(CompletionMethod::logdet);
  for (const Completion& c : {svt, admm, logdet}) {
    EXPECT_TRUE(c.converged);
    EXPECT_EQ(c.rank, 2);
    EXPECT_LT(relative(c.low_rank, truth), 1e-6);
  }
  const Completion fista = of(CompletionMethod::fista);
  EXPECT_LT(relative(fista.low_rank, truth), 1e-3);  // a weight of 1e-4 ||M||_2 shrinks it
  EXPECT_GT(relative(fista.low_rank, truth), 1e-6);
}

TEST(Completion, OfAWholeMatrixIsOneDecomposition) {
  const Tensor m = normal({12, 9}, 11), mask = at::ones({12, 9}, at::kBool);
  const auto [u, s, vt] = at::linalg_svd(m, false);
  const Tensor exact = at::matmul(u * (s - 1.5).clamp_min(0), vt);
  for (const auto method : {CompletionMethod::fista, CompletionMethod::admm}) {
    const Completion c =
        complete(m, mask, {.method = method, .weight = 1.5, .iterations = 5000, .tolerance = 1e-9});
    EXPECT_LT(max_difference(c.low_rank, exact), 1e-7);
    EXPECT_EQ(c.rank, s.gt(1.5).sum().item<int64_t>());
  }
}

// min 1/2 (s - z)^2 + w log(s + delta) for each singular value
TEST(Completion, LogdetOfAWholeMatrixIsItsProximalMap) {
  const Tensor m = normal({10, 8}, 12), mask = at::ones({10, 8}, at::kBool);
  const double w = 0.5, delta = 0.2;
  const Completion c = complete(m, mask, {.method = CompletionMethod::logdet, .weight = w, .delta = delta});
  const auto [u, s, vt] = at::linalg_svd(m, false);
  std::vector<double> best;
  for (int64_t i = 0; i < 8; ++i) {
    const double z = s[i].item<double>();
    double least = INFINITY, at_least = 0;
    for (double t = 0; t < z + 1; t += 1e-4) {
      const double value = 0.5 * (t - z) * (t - z) + w * std::log(t + delta);
      if (value < least) {
        least = value;
        at_least = t;
      }
    }
    best.push_back(at_least);
  }
  EXPECT_LT(max_difference(c.low_rank, at::matmul(u * at::tensor(best, at::kDouble), vt)), 1e-3);
  EXPECT_LT(c.kkt_residual, 1e-5);
}

TEST(Completion, LogdetIsLessBiasedThanTheNuclearNorm) {
  const Tensor truth = low_rank(50, 50, 3, 13), mask = some_of(50, 50, 0.6, 15);
  const Tensor m = truth + 0.1 * normal({50, 50}, 16);
  const auto error = [&](CompletionMethod method) {
    return relative(complete(m, mask, {.method = method, .noise_std = 0.1}).low_rank, truth);
  };
  EXPECT_LT(error(CompletionMethod::logdet), 0.7 * error(CompletionMethod::fista));
}

TEST(Completion, RobustSeparatesGrossErrors) {
  const Tensor truth = low_rank(80, 80, 3, 17), mask = some_of(80, 80, 0.7, 19),
               hit = some_of(80, 80, 0.08, 20);
  const Tensor errors = hit.to(at::kDouble) * 10 * normal({80, 80}, 21);
  const Completion c = complete(truth + errors, mask, {.method = CompletionMethod::robust});
  EXPECT_LT(relative(c.low_rank, truth), 1e-4);
  EXPECT_LT(max_difference(c.sparse, mask.to(at::kDouble) * errors), 1e-3);
  EXPECT_LT(c.kkt_residual, 1e-4);
  const Completion plain =
      complete(truth + errors, mask, {.method = CompletionMethod::fista, .noise_std = 1});
  EXPECT_GT(relative(plain.low_rank, truth), 0.1);
}

TEST(Completion, RandomisedDecompositionsRecoverLargeMatrices) {
  const Tensor truth = low_rank(250, 220, 4, 22), mask = some_of(250, 220, 0.4, 24);
  const Completion c = complete(truth, mask, {.svd = SvdKind::randomised});
  EXPECT_EQ(c.rank, 4);
  EXPECT_LT(relative(c.low_rank, truth), 1e-5);
  const Completion again = complete(truth, mask, {.svd = SvdKind::randomised});
  EXPECT_TRUE(at::equal(c.low_rank, again.low_rank));
}

TEST(Completion, RefusesBadInput) {
  const Tensor m = normal({4, 3}, 25), all = at::ones({4, 3}, at::kBool);
  expect_error([&] { complete(m, at::zeros({4, 3}, at::kBool), {}); }, {"matrix", "no entry"});
  expect_error([&] { complete(m, at::ones({3, 4}, at::kBool), {}); }, {"mask", "(3, 4)"});
  expect_error([&] { complete(m, all, {.weight = -1}); }, {"weight", "-1"});
  expect_error([&] { complete(m, all, {.weight = 1, .noise_std = 1}); }, {"weight", "noise"});
  expect_error([&] { complete(m, all, {.method = CompletionMethod::svt, .noise_std = 1}); },
               {"noise", "svt"});
  expect_error([&] { complete(at::zeros({4, 3}, at::kDouble), all, {}); }, {"matrix", "0"});
  expect_error([&] { complete(m[0], all, {}); }, {"matrix", "(3"});
}

}  // namespace
}  // namespace tweedie
