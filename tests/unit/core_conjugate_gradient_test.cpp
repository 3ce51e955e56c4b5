#include "core/conjugate_gradient.h"

#include "core/shape.h"
#include "tweedie/noise.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

constexpr int64_t rows = 5, n = 12;

// One symmetric positive definite matrix a row, (rows, n, n), with eigenvalues from 1 on.
Tensor systems(double spread = 1) {
  const Tensor a = Noise(1).normal({rows, n, n}, at::kDouble);
  return spread * a.matmul(a.transpose(1, 2)) + at::eye(n, at::kDouble);
}

BatchMap times(const Tensor& b) {
  return [b](const Tensor& v) { return (b.to(v.scalar_type()) * v.unsqueeze(1)).sum(2); };
}

const Tensor b = Noise(2).normal({rows, n}, at::kDouble);

// || b - B u || / || b || for each row
Tensor true_residual(const Tensor& system, const Tensor& u) {
  return (b - times(system)(u.to(at::kDouble))).norm(2, {1}) / b.norm(2, {1});
}

TEST(ConjugateGradient, SolvesEachSystem) {
  const Tensor system = systems();
  const auto result = conjugate_gradient(times(system), b, {.max_iterations = 100, .tolerance = 1e-12});
  const Tensor truth = at::linalg_solve(system, b.unsqueeze(2)).squeeze(2);
  EXPECT_LT((result.u - truth).abs().max().item<double>(), 1e-10);
  EXPECT_LT(true_residual(system, result.u).max().item<double>(), 1e-11);
  EXPECT_LE(result.residual.max().item<double>(), 1e-12);
  EXPECT_FALSE(result.broken.any().item<bool>());

  const auto single =
      conjugate_gradient(times(system), b.to(at::kFloat), {.max_iterations = 100, .tolerance = 1e-6});
  EXPECT_EQ(single.u.scalar_type(), at::kFloat);
  EXPECT_LT(true_residual(system, single.u).max().item<double>(), 1e-4);
}

TEST(ConjugateGradient, TakesAnyShapeOfRow) {
  const Tensor image = b.view({rows, 2, 3, 2});
  const auto flat = conjugate_gradient(times(systems()), b, {});
  const auto same = conjugate_gradient(
      [&](const Tensor& v) { return times(systems())(v.flatten(1)).view_as(v); }, image, {});
  EXPECT_TRUE(at::equal(same.u.flatten(1), flat.u));
}

// In exact arithmetic as many steps as there are distinct eigenvalues.
TEST(ConjugateGradient, TakesOneStepForEachEigenvalue) {
  Tensor values = at::ones({rows, n}, at::kDouble);
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t k = 0; k < row; ++k) values[row][k] = 3.0 + static_cast<double>(k);
  }
  const auto result =
      conjugate_gradient([&](const Tensor& v) { return values * v; }, b, {.tolerance = 1e-11});
  EXPECT_TRUE(at::equal(result.iterations, at::arange(1, rows + 1)));
}

TEST(ConjugateGradient, StopsAtTheLimitAndSaysHowFarItCame) {
  const Tensor system = systems();
  const auto result = conjugate_gradient(times(system), b, {.max_iterations = 3, .tolerance = 1e-12});
  EXPECT_TRUE(result.iterations.eq(3).all().item<bool>());
  EXPECT_TRUE(at::allclose(result.residual, true_residual(system, result.u), 1e-10));
  EXPECT_GT(result.residual.min().item<double>(), 1e-12);
  const auto none = conjugate_gradient(times(system), b, {.max_iterations = 0});
  EXPECT_EQ(none.u.abs().max().item<double>(), 0);
  EXPECT_EQ(none.residual.min().item<double>(), 1);
}

// The first step is the best multiple of b, <b, b> / <b, B b>.
TEST(ConjugateGradient, BeginsWithSteepestDescent) {
  const Tensor system = systems(), bb = (b * b).sum(1), curvature = (b * times(system)(b)).sum(1);
  const auto result = conjugate_gradient(times(system), b, {.max_iterations = 1});
  EXPECT_TRUE(at::allclose(result.u, (bb / curvature).unsqueeze(1) * b, 1e-12));
}

TEST(ConjugateGradient, ARowIsFrozenOnceItHasConverged) {
  Tensor system = systems();
  system[2] = 2 * at::eye(n, at::kDouble);  // one step
  const auto result = conjugate_gradient(times(system), b, {.tolerance = 1e-10});
  EXPECT_EQ(result.iterations[2].item<int64_t>(), 1);
  EXPECT_GT(result.iterations[1].item<int64_t>(), 5);
  EXPECT_TRUE(at::equal(result.u[2], b[2] / 2));
}

// Whatever the other rows hold - even NaN - a row has the same bits.
TEST(ConjugateGradient, ARowDoesNotDependOnTheOthers) {
  for (const auto dtype : {at::kDouble, at::kFloat}) {
    const Tensor system = systems();
    Tensor other_system = systems(30), other_b = 7 * b + 1;
    other_system[0] = NAN;
    other_b[1] = 0;
    other_system[2] = -system[2];
    for (const Tensor& t : {other_system, other_b}) t[3] = (t.dim() == 3 ? system : b)[3];
    const ConjugateGradientOptions options{.max_iterations = 50, .tolerance = 1e-6};
    const auto one = conjugate_gradient(times(system), b.to(dtype), options);
    const auto two = conjugate_gradient(times(other_system), other_b.to(dtype), options);
    EXPECT_TRUE(at::equal(one.u[3], two.u[3]));
    EXPECT_TRUE(at::equal(one.residual[3], two.residual[3]));
    EXPECT_EQ(one.iterations[3].item<int64_t>(), two.iterations[3].item<int64_t>());
    const auto alone =
        conjugate_gradient(times(system.narrow(0, 3, 1)), b.narrow(0, 3, 1).to(dtype), options);
    EXPECT_TRUE(at::equal(one.u[3], alone.u[0]));
  }
}

TEST(ConjugateGradient, StopsARowOnNegativeCurvature) {
  Tensor system = systems();
  system[1] = -system[1];                                       // from the first step on
  system[4] = at::diag(at::linspace(-0.5, 3, n, at::kDouble));  // after some
  const auto result = conjugate_gradient(times(system), b, {.tolerance = 1e-10});
  EXPECT_TRUE(at::equal(result.broken, at::tensor({0, 1, 0, 0, 1}).to(at::kBool)));
  EXPECT_EQ(result.u[1].abs().max().item<double>(), 0);
  EXPECT_EQ(result.residual[1].item<double>(), 1);
  EXPECT_GT(result.iterations[4].item<int64_t>(), 0);
  EXPECT_TRUE(at::allclose(result.residual, true_residual(system, result.u), 1e-6, 1e-9));
  EXPECT_LT(result.residual[0].item<double>(), 1e-10);
}

// Rows whose map gives NaN, infinity or an overflowing step stop with what they have, finite.
TEST(ConjugateGradient, StopsARowThatIsNotFinite) {
  Tensor system = systems();
  system[0] = NAN;
  system[1] = INFINITY;
  system[2] = 1e-300 * system[2];
  const auto result = conjugate_gradient(times(system), 1e200 * b, {});
  EXPECT_TRUE(result.broken[0].item<bool>());
  EXPECT_TRUE(result.broken[1].item<bool>());
  EXPECT_TRUE(result.u.isfinite().all().item<bool>());
  Tensor bad = b.clone();
  bad[3][2] = NAN;
  const auto nan = conjugate_gradient(times(systems()), bad, {});
  EXPECT_TRUE(at::equal(nan.broken, at::tensor({0, 0, 0, 1, 0}).to(at::kBool)));
  EXPECT_EQ(nan.u[3].abs().max().item<double>(), 0);
}

// A lower bound on the eigenvalues that is known catches what is positive only by rounding.
TEST(ConjugateGradient, StopsARowBelowTheCurvatureItMustHave) {
  Tensor system = systems();
  system[2] = at::diag(at::linspace(0.01, 3, n, at::kDouble));
  const auto result = conjugate_gradient(times(system), b, {.tolerance = 1e-10, .min_curvature = 0.99});
  EXPECT_TRUE(at::equal(result.broken, at::tensor({0, 0, 1, 0, 0}).to(at::kBool)));
}

TEST(ConjugateGradient, APreconditionerSavesSteps) {
  const Tensor scale = at::logspace(0, 4, n, 10, at::kDouble);
  const Tensor system = scale.sqrt().unsqueeze(1) * systems(0.02) * scale.sqrt();
  const ConjugateGradientOptions options{.max_iterations = 200, .tolerance = 1e-9};
  const auto plain = conjugate_gradient(times(system), b, options);
  const auto better =
      conjugate_gradient(times(system), b, options, [&](const Tensor& v) { return v / scale; });
  EXPECT_LT(true_residual(system, better.u).max().item<double>(), 1e-7);
  EXPECT_TRUE(better.iterations.lt(plain.iterations).all().item<bool>());
  // With the inverse itself, one step.
  const Tensor inverse = at::linalg_inv(system);
  const auto exact = conjugate_gradient(times(system), b, options, times(inverse));
  EXPECT_TRUE(exact.iterations.eq(1).all().item<bool>());
  // One that is not positive definite is found out.
  const auto wrong = conjugate_gradient(times(system), b, options, [](const Tensor& v) { return -v; });
  EXPECT_TRUE(wrong.broken.all().item<bool>());
}

TEST(ConjugateGradient, AZeroRightHandSideHasAZeroSolution) {
  Tensor some = b.clone();
  some[1].zero_();
  const auto result = conjugate_gradient(times(systems()), some, {});
  EXPECT_EQ(result.u[1].abs().max().item<double>(), 0);
  EXPECT_EQ(result.residual[1].item<double>(), 0);
  EXPECT_EQ(result.iterations[1].item<int64_t>(), 0);
  EXPECT_FALSE(result.broken.any().item<bool>());
  EXPECT_EQ(conjugate_gradient(times(systems()), at::zeros_like(b), {}).iterations.sum().item<int64_t>(), 0);
}

TEST(ConjugateGradient, RefusesBadInput) {
  EXPECT_THROW(conjugate_gradient(times(systems()), b.to(at::kLong), {}), Error);
  EXPECT_THROW(conjugate_gradient(times(systems()), b, {.max_iterations = -1}), Error);
  EXPECT_THROW(conjugate_gradient(times(systems()), b, {.tolerance = NAN}), Error);
  EXPECT_THROW(conjugate_gradient([](const Tensor& v) { return v.sum(1); }, b, {}), Error);
}

// A matrix with a skew part: plain steps end far from any solution, the best iterate is never worse than
// none.
TEST(ConjugateGradient, KeepsTheBestIterateWhereStepsGoAstray) {
  const Tensor skew = at::tensor({0., 40., -40., 0.}, at::kDouble).view({2, 2});
  const Tensor b = at::tensor({1., 0.5}, at::kDouble).view({1, 2});
  const BatchMap map = [&](const Tensor& v) { return v + v.matmul(skew); };
  const auto residual = [&](bool keep_best) {
    const auto solve =
        conjugate_gradient(map, b, {.max_iterations = 3, .tolerance = 0, .keep_best = keep_best});
    EXPECT_NEAR(solve.residual.item<double>(), ((b - map(solve.u)).norm() / b.norm()).item<double>(), 1e-9);
    return solve.residual.item<double>();
  };
  EXPECT_GT(residual(false), 10);
  EXPECT_LE(residual(true), 1);
}

TEST(ConjugateGradient, TheBestIterateOfADefiniteMatrixIsTheLast) {
  Noise noise(3);
  const Tensor root = noise.normal({6, 6}, at::kDouble),
               a = root.matmul(root.t()) + 6 * at::eye(6, at::kDouble);
  const Tensor b = noise.normal({4, 6}, at::kDouble);
  const BatchMap map = [&](const Tensor& v) { return v.matmul(a); };
  const auto solve = conjugate_gradient(map, b, {.max_iterations = 6, .tolerance = 0, .keep_best = true});
  EXPECT_LT(solve.residual.max().item<double>(), 1e-9);
  EXPECT_GE(static_cast<int64_t>(solve.steps.size()), 6);
}

}  // namespace
}  // namespace tweedie
