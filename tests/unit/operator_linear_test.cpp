// What every linear operator promises, asked of every one.

#include "core/rows.h"
#include "core/shape.h"
#include "support/imaging_cases.h"
#include "tweedie/image_operators.h"
#include "tweedie/operator_algebra.h"
#include "tweedie/operator_check.h"
#include "tweedie/operators.h"
#include "tweedie/sensing.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

Tensor normal(const Shape& shape, uint64_t id, at::ScalarType dtype = at::kDouble) {
  return Noise(1).stream(id).normal(shape, dtype);
}

struct Case {
  std::string name;
  std::function<LinearOperatorPtr()> make;
};

void PrintTo(const Case& c, std::ostream* out) {
  *out << c.name;
}

LinearOperatorPtr linear(const ForwardOperatorPtr& a) {
  return std::dynamic_pointer_cast<const LinearOperator>(a);
}

// Entries anywhere, some twice in one place, some rows without any.
SparseMatrix random_sparse(int64_t rows, int64_t columns, int64_t entries) {
  const Tensor row =
      std::get<0>((Noise(1).stream(70).uniform({entries}, at::kDouble) * rows).to(at::kLong).sort());
  const Tensor column = (Noise(1).stream(71).uniform({entries}, at::kDouble) * columns).to(at::kLong);
  const Tensor count = at::zeros({rows}, at::kLong).index_add(0, row, at::ones({entries}, at::kLong));
  return {rows, columns, at::cat({at::zeros({1}, at::kLong), count.cumsum(0)}), column,
          normal({entries}, 72)};
}

const std::vector<Case>& cases() {
  static const std::vector<Case> all{
      {"Identity",
       [] {
         return make_identity({2, 3});
       }},
      {"RandomMask",
       [] {
         return make_mask(random_mask({3, 6, 8}, 0.3, Noise(2)));
       }},
      {"BoxMask",
       [] {
         return make_mask(box_mask({1, 7, 5}, 2, 1, 3, 4));
       }},
      {"MaskOfVector", [] { return make_mask(random_mask({17}, 0.5, Noise(3))); }},
      {"BlurCircular",
       [] {
         return make_blur({3, 6, 9}, gaussian_kernel(0.8, 2));
       }},
      {"BlurCircularEven",
       [] {
         return make_blur({2, 7, 6}, normal({4, 2}, 4));
       }},
      {"BlurCircularLargerThanImage",
       [] {
         return make_blur({5, 4}, normal({9, 11}, 5));
       }},
      {"BlurZero",
       [] {
         return make_blur({3, 6, 9}, gaussian_kernel(1.1, 3), Boundary::zero);
       }},
      {"BlurZeroEven",
       [] {
         return make_blur({6, 5}, normal({2, 4}, 6), Boundary::zero);
       }},
      {"BlurZeroLargerThanImage",
       [] {
         return make_blur({2, 4, 3}, normal({10, 9}, 7), Boundary::zero);
       }},
      {"Downsample",
       [] {
         return make_downsample({3, 6, 9}, 3);
       }},
      {"DownsampleTo1",
       [] {
         return make_downsample({4, 4}, 4);
       }},
      {"MatrixWide",
       [] {
         return make_matrix({2, 3, 5}, normal({7, 30}, 8));
       }},
      {"MatrixTall",
       [] {
         return make_matrix({9}, normal({20, 9}, 9));
       }},
      {"MatrixOneRow",
       [] {
         return make_matrix({8}, normal({1, 8}, 10));
       }},
      {"MatrixRank2",
       [] {
         return make_matrix({6}, normal({5, 2}, 11).matmul(normal({2, 6}, 12)));
       }},
      {"MatrixZero",
       [] {
         return make_matrix({6}, at::zeros({3, 6}, at::kDouble));
       }},
      {"Composed",
       [] {
         return compose(make_downsample({3, 6, 4}, 2), make_blur({3, 6, 4}, normal({3, 3}, 13)));
       }},
      {"Stacked",
       [] {
         return stack({make_downsample({2, 4, 6}, 2), make_mask(random_mask({2, 4, 6}, 0.4, Noise(4))),
                       make_blur({2, 4, 6}, normal({3, 2}, 14))});
       }},
      {"Scaled",
       [] {
         return scale(make_matrix({12}, normal({5, 12}, 15)), -2.5);
       }},
      {"Crop",
       [] {
         return make_crop({3, 6, 8}, 1, 3, 4, 2);
       }},
      {"CropWhole",
       [] {
         return make_crop({2, 3}, 0, 0, 2, 3);
       }},
      {"Bicubic2",
       [] {
         return make_bicubic({2, 6, 8}, 2);
       }},
      {"Bicubic4OfSmall",
       [] {
         return make_bicubic({4, 8}, 4);
       }},
      {"SeparableTall",
       [] {
         return make_separable({2, 3, 4}, normal({5, 3}, 50), normal({6, 4}, 51));
       }},
      {"SeparableZero",
       [] {
         return make_separable({3, 4}, at::zeros({2, 3}, at::kDouble), normal({3, 4}, 52));
       }},
      {"BlurMotion",
       [] {
         return make_blur({2, 7, 8}, motion_kernel(4.3, 25));
       }},
      {"VaryingBlurCircular",
       [] {
         return make_varying_blur({2, 6, 7}, normal({2, 3, 3, 2}, 53));
       }},
      {"VaryingBlurZero",
       [] {
         return make_varying_blur({5, 6}, normal({3, 1, 2, 4}, 54), Boundary::zero);
       }},
      {"Decolour",
       [] {
         return make_colour({3, 4, 5}, at::tensor({0.299, 0.587, 0.114}, at::kDouble).view({1, 3}));
       }},
      {"ColourTall",
       [] {
         return make_colour({2, 3, 2}, normal({4, 2}, 55));
       }},
      {"ColourRank1",
       [] {
         return make_colour({3, 5}, normal({3, 1}, 56).matmul(normal({1, 3}, 57)));
       }},
      {"Sparse",
       [] {
         return make_sparse({3, 4}, random_sparse(5, 12, 20));
       }},
      {"SparseTall", [] { return make_sparse({6}, random_sparse(15, 6, 30)); }},
      {"GaussianSensing",
       [] {
         return make_gaussian_sensing({2, 3, 4}, 10, Noise(5));
       }},
      {"HadamardSensing",
       [] {
         return make_subsampled_transform({2, 4, 4}, FastTransform::hadamard, 13, true, Noise(6));
       }},
      {"DctSensing",
       [] {
         return make_subsampled_transform({3, 7}, FastTransform::dct, 9, true, Noise(7));
       }},
      {"DctSensingAll",
       [] { return make_subsampled_transform({12}, FastTransform::dct, 12, false, Noise(8)); }},
      {"WaveletHaar",
       [] {
         return make_wavelet({2, 8, 4}, Wavelet::haar, 2);
       }},
      {"WaveletDb2", [] { return make_wavelet({16}, Wavelet::db2, 3); }},
      {"WaveletDb3",
       [] {
         return make_wavelet({6, 10}, Wavelet::db3, 1);
       }},
      {"WaveletDb4LongerThanAxis",
       [] {
         return make_wavelet({3, 4, 8}, Wavelet::db4, 2);
       }},
      {"Differences",
       [] {
         return make_differences({2, 5, 6});
       }},
      {"DifferencesCircular",
       [] {
         return make_differences({2, 5, 6}, Edge::circular);
       }},
      {"DifferencesOfLine", [] { return make_differences({7}); }},
      {"DifferencesOfLineCircular", [] { return make_differences({8}, Edge::circular); }},
      {"Sum",
       [] {
         return linear(sum_of({make_blur({2, 4, 5}, normal({3, 3}, 58)), make_identity({2, 4, 5})}));
       }},
      {"Chain",
       [] {
         return linear(
             in_turn({make_blur({2, 4, 6}, normal({3, 2}, 59), Boundary::zero), make_downsample({2, 4, 6}, 2),
                      make_mask(random_mask({2, 2, 3}, 0.5, Noise(9)))}));
       }},
      {"StackOf",
       [] {
         return linear(stack_of({make_downsample({4, 6}, 2), make_identity({4, 6})}));
       }},
      {"BlockDiagonal",
       [] {
         return linear(
             block_diagonal({make_downsample({1, 4, 6}, 2), make_blur({1, 4, 6}, normal({2, 2}, 60))}));
       }},
      {"BlockDiagonalKnown",
       [] {
         return linear(block_diagonal({make_bicubic({2, 4, 4}, 2), make_crop({1, 4, 4}, 0, 1, 2, 2)}));
       }},
      {"Adjoint",
       [] {
         return adjoint_of(make_downsample({3, 4, 6}, 2));
       }},
      {"AdjointOfMatrix",
       [] {
         return adjoint_of(make_matrix({9}, normal({20, 9}, 61)));
       }},
      {"ScaledForward", [] { return linear(scaled(make_wavelet({8}, Wavelet::haar, 1), 3)); }},
  };
  return all;
}

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
  EXPECT_NEAR(a->LinearOperator::norm(), truth, 1e-6 * truth);
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

INSTANTIATE_TEST_SUITE_P(Operators, EveryLinearOperator, testing::ValuesIn(cases()),
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
