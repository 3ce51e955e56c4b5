// What every linear operator promises, asked of every one.

#include "core/rows.h"
#include "core/shape.h"
#include "support/imaging_cases.h"
#include "support/linear_cases.h"
#include "tweedie/operator_check.h"

#include "check_tensor.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

using Case = NamedOperator<LinearOperatorPtr>;

class EveryLinearOperator : public testing::TestWithParam<Case> {
 protected:
  Tensor x(int64_t rows, at::ScalarType dtype = at::kDouble) const {
    return normal(with_batch(rows, a->domain()), 20, dtype);
  }
  Tensor y(int64_t rows, at::ScalarType dtype = at::kDouble) const {
    return normal(with_batch(rows, a->codomain()), 21, dtype);
  }
  LinearOperatorPtr a = GetParam().make();
};

// max |<A x, y> - <x, A^T y>| / (|A x| |y| + |x| |A^T y|) over the rows
double adjoint_error(const LinearOperator& a, const Tensor& x, const Tensor& y) {
  const Tensor ax = a.apply(x), aty = a.adjoint(y);
  const Tensor size =
      (row_dot(ax, ax) * row_dot(y, y)).sqrt() + (row_dot(x, x) * row_dot(aty, aty)).sqrt() + 1e-300;
  return ((row_dot(ax, y) - row_dot(x, aty)).abs() / size).max().item<double>();
}

double relative_error(const Tensor& value, const Tensor& truth) {
  return ((value - truth).norm() / (truth.norm() + 1e-300)).item<double>();
}

// The same bits alone, among others, in another place, and with more threads.
void expect_rows_alone(const LinearOperator& a, const Tensor& x, const Tensor& y, double lambda = 0.1) {
  const int threads = at::get_num_threads();
  at::set_num_threads(2);
  const Tensor ax = a.apply(x), aty = a.adjoint(y), solved = a.solve_normal(x, lambda);
  const Tensor gram = a.solve_gram(y, lambda);
  at::set_num_threads(1);
  for (const int64_t start : {int64_t{0}, int64_t{3}, x.size(0) - 1}) {
    for (const int64_t rows : {1, 8}) {
      if (start + rows > x.size(0)) continue;
      const Tensor some = x.narrow(0, start, rows);
      EXPECT_TRUE(at::equal(a.apply(some), ax.narrow(0, start, rows))) << start << " " << rows;
      EXPECT_TRUE(at::equal(a.adjoint(y.narrow(0, start, rows)), aty.narrow(0, start, rows)))
          << start << " " << rows;
      EXPECT_TRUE(at::equal(a.solve_gram(y.narrow(0, start, rows), lambda), gram.narrow(0, start, rows)))
          << start << " " << rows;
      EXPECT_TRUE(at::equal(a.solve_normal(some, lambda), solved.narrow(0, start, rows)))
          << start << " " << rows;
    }
  }
  at::set_num_threads(threads);
}

TEST_P(EveryLinearOperator, HasItsAdjoint) {
  EXPECT_LT(adjoint_error(*a, x(5), y(5)), 1e-13);
  EXPECT_LT(adjoint_error(*a, x(5, at::kFloat), y(5, at::kFloat)), 1e-5);
  EXPECT_TRUE(at::equal(a->vjp(x(5), y(5)), a->adjoint(y(5))));
}

TEST_P(EveryLinearOperator, AgreesWithItsMatrix) {
  const Tensor m = a->dense();
  ASSERT_EQ(m.sizes().vec(), (Shape{product(a->codomain()), product(a->domain())}));
  EXPECT_LT((a->apply(x(4)).flatten(1) - x(4).flatten(1).matmul(m.t())).abs().max().item<double>(), 1e-12);
  EXPECT_LT((a->adjoint(y(4)).flatten(1) - y(4).flatten(1).matmul(m)).abs().max().item<double>(), 1e-12);
}

TEST_P(EveryLinearOperator, KnowsItsNorm) {
  const double truth = at::linalg_svdvals(a->dense()).max().item<double>();
  EXPECT_NEAR(a->norm(), truth, 1e-6 * truth);
  EXPECT_NEAR(a->norm_by_lanczos(), truth, 1e-6 * truth);
  EXPECT_NEAR(a->norm(1e-2), truth, 1e-2 * truth);
}

TEST_P(EveryLinearOperator, SolvesItsNormalEquations) {
  const Tensor m = a->dense(), b = x(4);
  for (const double lambda : {0.3, 1e-3}) {
    const Tensor system = m.t().matmul(m) + lambda * at::eye(m.size(1), at::kDouble);
    const Tensor truth = at::linalg_solve(system, b.flatten(1).t()).t().view_as(b);
    // An error in the residual of 1e-10 |b| is one of at most 1e-10 |b| / lambda in the solution.
    const double bound = 1e-10 * (b.norm() / truth.norm()).item<double>() / lambda;
    EXPECT_LT(relative_error(a->solve_normal(b, lambda), truth), bound) << lambda;
    EXPECT_LT(relative_error(a->solve_normal(b.to(at::kFloat), lambda).to(at::kDouble), truth), 1e4 * bound)
        << lambda;
  }
}

TEST_P(EveryLinearOperator, SolvesItsGramEquations) {
  const Tensor m = a->dense(), b = y(4);
  for (const double lambda : {0.3, 1e-3}) {
    const Tensor system = m.matmul(m.t()) + lambda * at::eye(m.size(0), at::kDouble);
    const Tensor truth = at::linalg_solve(system, b.flatten(1).t()).t().view_as(b);
    const double bound = 1e-10 * (b.norm() / truth.norm()).item<double>() / lambda;
    EXPECT_LT(relative_error(a->solve_gram(b, lambda), truth), bound) << lambda;
    EXPECT_LT(relative_error(a->solve_gram(b.to(at::kFloat), lambda).to(at::kDouble), truth), 1e4 * bound)
        << lambda;
  }
}

TEST_P(EveryLinearOperator, HasAPseudoinverse) {
  const Tensor plus = at::linalg_pinv(a->dense(), 1e-12), b = y(4);
  const Tensor truth = b.flatten(1).matmul(plus.t()).view_as(x(4));
  // An error of 1e-10 in the residual of A^T A x = A^T y is one of 1e-10 |A^+|^2 |A| |y| in x.
  const double least = at::linalg_matrix_norm(plus, 2).item<double>();
  const double bound = 1e-10 * (1 + least * least * a->norm()) * b.norm().item<double>();
  EXPECT_LT((a->pseudo_inverse(b) - truth).norm().item<double>(), bound);
  const double narrow = (a->pseudo_inverse(b.to(at::kFloat)).to(at::kDouble) - truth).norm().item<double>();
  EXPECT_LT(narrow, 1e5 * bound);
}

TEST_P(EveryLinearOperator, IsWhatItsDecompositionSays) {
  const Svd f = svd_of(*a);
  const int64_t k = f.s.size(0);
  EXPECT_LT((f.u.mul(f.s).matmul(f.v.t()) - a->dense()).abs().max().item<double>(), 1e-12);
  EXPECT_LT((f.u.t().matmul(f.u) - at::eye(k, at::kDouble)).norm().item<double>(), 1e-12);
  EXPECT_LT((f.v.t().matmul(f.v) - at::eye(k, at::kDouble)).norm().item<double>(), 1e-12);
  EXPECT_TRUE(f.s.gt(0).all().item<bool>());
  EXPECT_TRUE(f.s.diff().le(0).all().item<bool>());
}

TEST_P(EveryLinearOperator, TreatsEachRowAlone) {
  for (const auto dtype : {at::kDouble, at::kFloat}) expect_rows_alone(*a, x(37, dtype), y(37, dtype));
}

TEST_P(EveryLinearOperator, TakesFloat32AndNoRows) {
  const Tensor ax = a->apply(x(3, at::kFloat));
  EXPECT_EQ(ax.scalar_type(), at::kFloat);
  EXPECT_LT((ax.to(at::kDouble) - a->apply(x(3, at::kFloat).to(at::kDouble))).abs().max().item<double>(),
            1e-4);
  EXPECT_EQ(a->adjoint(y(3, at::kFloat)).scalar_type(), at::kFloat);
  EXPECT_EQ(a->apply(x(0)).sizes().vec(), with_batch(0, a->codomain()));
  EXPECT_EQ(a->solve_normal(x(0), 1).sizes().vec(), with_batch(0, a->domain()));
  EXPECT_EQ(a->adjoint(y(0)).sizes().vec(), with_batch(0, a->domain()));
}

TEST_P(EveryLinearOperator, RefusesWrongShapesAndDtypes) {
  Shape wrong = a->domain();
  wrong.back() += 1;
  EXPECT_THROW(a->apply(normal(with_batch(2, wrong), 1)), Error);
  EXPECT_THROW(a->apply(x(2).to(at::kHalf)), Error);
  EXPECT_THROW(a->adjoint(normal({2, 1000}, 1)), Error);
  EXPECT_THROW(a->vjp(x(2), y(3)), Error);
  EXPECT_THROW(a->solve_normal(x(2), 0), Error);
  EXPECT_THROW(a->solve_normal(x(2), NAN), Error);
  EXPECT_THROW(a->solve_gram(y(2), 0), Error);
  EXPECT_THROW(a->pseudo_inverse(normal({2, 1000}, 1)), Error);
  EXPECT_THROW(a->solve_gram(normal({2, 1000}, 1), 1), Error);
  EXPECT_THROW(a->dense(product(a->domain()) * product(a->codomain()) - 1), Error);
}

INSTANTIATE_TEST_SUITE_P(Operators, EveryLinearOperator, testing::ValuesIn(linear_cases()),
                         [](const auto& info) { return info.param.name; });
INSTANTIATE_TEST_SUITE_P(Imaging, EveryLinearOperator, testing::ValuesIn(imaging_cases<Case>()),
                         [](const auto& info) { return info.param.name; });

// Arrays so large that libtorch shares them out among threads; 29 is a prime, which has a transform of its
// own kind.
TEST(LargeImages, TreatEachRowAlone) {
  const Tensor kernel = normal({5, 4}, 40) / 10;
  for (const auto& a : {make_blur({29, 40}, kernel), make_blur({29, 40}, kernel, Boundary::zero),
                        make_downsample({30, 40}, 2)}) {
    for (const auto dtype : {at::kDouble, at::kFloat}) {
      expect_rows_alone(*a, normal(with_batch(32, a->domain()), 41, dtype),
                        normal(with_batch(32, a->codomain()), 42, dtype), 10);
    }
  }
}

// An adjoint with the kernel not turned around: right only for symmetric kernels.
class WrongAdjoint final : public LinearOperator {
 public:
  explicit WrongAdjoint(const Tensor& kernel) : blur_(make_blur({5, 6}, kernel)) {}
  Shape domain() const override { return blur_->domain(); }
  Shape codomain() const override { return blur_->codomain(); }

 protected:
  Tensor do_apply(const Tensor& x) const override { return blur_->apply(x); }
  Tensor do_adjoint(const Tensor& y) const override { return blur_->apply(y); }

 private:
  LinearOperatorPtr blur_;
};

TEST(AdjointTest, RejectsAWrongAdjoint) {
  const Tensor x = normal({5, 5, 6}, 30), y = normal({5, 5, 6}, 31);
  EXPECT_LT(adjoint_error(WrongAdjoint(gaussian_kernel(0.5, 2)), x, y), 1e-13);
  EXPECT_GT(adjoint_error(WrongAdjoint(normal({3, 3}, 32)), x, y), 1e-3);
}

// The same by the check that users run: it says no to the wrong one, and yes to all of the list.
TEST(AdjointTest, IsWhatCheckOperatorAsks) {
  const auto failed = [](const LinearOperator& a) {
    std::vector<std::string> names;
    for (const auto& check : check_operator(a)) {
      if (!check.passed()) names.push_back(check.name);
    }
    return names;
  };
  const auto names = failed(WrongAdjoint(normal({3, 3}, 32)));
  EXPECT_NE(std::find(names.begin(), names.end(), "adjoint"), names.end());
}

TEST_P(EveryLinearOperator, PassesCheckOperator) {
  for (const auto& check : check_operator(*a))
    EXPECT_TRUE(check.passed()) << check.name << " " << check.value;
}

TEST(SvdOf, RefusesWhatIsTooLarge) {
  const auto a = make_blur({60, 60}, gaussian_kernel(0.5, 2));
  try {
    svd_of(*a);
    ADD_FAILURE() << "no Error";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("3600 x 3600"), std::string::npos) << e.what();
  }
}

// A top of the spectrum that crowds together, where plain power iteration would stop far too early.
TEST(Norm, OfACrowdedSpectrum) {
  const Tensor s = at::linspace(0.9, 1, 300, at::kDouble);
  EXPECT_NEAR(make_matrix({300}, at::diag(s))->norm(), 1, 1e-6);
}

// Two close eigenvalues far above the others, whose Ritz vectors take long to come apart
TEST(Norm, OfAPairAtTheTop) {
  const Tensor rest = at::linspace(0, 0.5, 300, at::kDouble);
  for (const double second : {0.9998, 0.99998}) {
    const Tensor squares = at::cat({at::tensor({1.0, second}, at::kDouble), rest});
    EXPECT_NEAR(make_matrix({302}, at::diag(squares.sqrt()))->norm(), 1, 1e-6);
  }
}

class CountedDiagonal final : public LinearOperator {
 public:
  explicit CountedDiagonal(Tensor d) : d_(std::move(d)) {}
  Shape domain() const override { return {d_.numel()}; }
  Shape codomain() const override { return {d_.numel()}; }
  mutable int64_t products = 0;

 protected:
  Tensor do_apply(const Tensor& x) const override {
    ++products;
    return x * d_;
  }
  Tensor do_adjoint(const Tensor& y) const override { return y * d_; }

 private:
  Tensor d_;
};

// The tolerance is of the square, and a loose one saves most of the products.
TEST(Norm, StopsAtTheToleranceAskedFor) {
  const CountedDiagonal a(at::linspace(0, 1, 3000, at::kDouble));
  std::vector<int64_t> products;
  for (const double tolerance : {1e-6, 1e-2, 1e-1}) {
    a.products = 0;
    const double square = std::pow(a.norm(tolerance), 2);
    EXPECT_LE(square, 1 + 1e-12);
    EXPECT_NEAR(square, 1, tolerance);
    products.push_back(a.products);
  }
  EXPECT_GT(products[0], 3 * products[1]);
  EXPECT_GT(products[1], products[2]);
  for (const double wrong : {0.0, -1e-3, 1.0, std::nan("")}) EXPECT_THROW(a.norm(wrong), Error);
}

TEST(Compose, RefusesWhatDoesNotFit) {
  EXPECT_THROW(compose(make_identity({3}), make_identity({4})), Error);
  EXPECT_THROW(compose(nullptr, make_identity({4})), Error);
  EXPECT_THROW(stack({}), Error);
  EXPECT_THROW(stack({make_identity({3}), make_identity({4})}), Error);
  EXPECT_THROW(scale(make_identity({3}), 0), Error);
  EXPECT_THROW(scale(nullptr, 1), Error);
}

}  // namespace
}  // namespace tweedie
