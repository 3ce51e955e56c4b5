// The non-uniform Fourier transform against direct sums over pixels.

#include "tweedie/nufft.h"

#include "check_tensor.h"
#include "core/shape.h"
#include "core/workers.h"
#include "kernel/gridding.h"
#include "support/imaging_cases.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

// (m, H W) complex128
Tensor direct_matrix(const Tensor& k, int64_t h, int64_t w) {
  const Tensor rows = (at::arange(h, at::kDouble) - h / 2).unsqueeze(1).expand({h, w}).flatten();
  const Tensor columns = (at::arange(w, at::kDouble) - w / 2).unsqueeze(0).expand({h, w}).flatten();
  const Tensor flat = k.reshape({-1, 2});
  const Tensor angle =
      -2 * std::numbers::pi * (flat.select(1, 0).outer(rows) + flat.select(1, 1).outer(columns));
  return at::complex(angle.cos(), angle.sin()) / std::sqrt(static_cast<double>(h * w));
}

double relative(const Tensor& value, const Tensor& truth) {
  return ((value - truth).norm() / truth.norm()).item<double>();
}

struct Setting {
  double tolerance, oversampling;
};

TEST(NufftOperator, IsTheDirectSumToItsTolerance) {
  const int64_t h = 24, w = 18;
  for (const Tensor& k : {radial_trajectory(13, 31, true), radial_trajectory(7, 16, false),
                          spiral_trajectory(3, 100, 4), Noise(1).uniform({300, 2}, at::kDouble) - 0.5}) {
    const Tensor x = normal({2, 2, h, w}, 2), cx = at::complex(x.select(1, 0), x.select(1, 1));
    const Tensor truth = at::matmul(cx.flatten(1), direct_matrix(k, h, w).t());
    for (const auto& [tolerance, oversampling] : {Setting{1e-2, 2},
                                                  {1e-4, 2},
                                                  {1e-6, 2},
                                                  {1e-9, 2},
                                                  {1e-12, 2},
                                                  {1e-3, 1.25},
                                                  {1e-6, 1.25},
                                                  {1e-6, 1.5}}) {
      const auto a = make_nufft({2, h, w}, k, {},
                                {.complex = true, .tolerance = tolerance, .oversampling = oversampling});
      const Tensor y = at::view_as_complex(a->apply(x)).reshape({2, -1});
      EXPECT_LT(relative(y, truth), tolerance) << tolerance << " " << oversampling;
      // Not by an accident of a much wider kernel
      EXPECT_GT(relative(y, truth), tolerance > 1e-10 ? 1e-4 * tolerance : 0)
          << tolerance << " " << oversampling;
      const Tensor single = at::view_as_complex(a->apply(x.to(at::kFloat))).reshape({2, -1});
      // Of float32 more is lost where the correction for the kernel is large, on a grid that is hardly finer.
      EXPECT_LT(relative(single.to(at::kComplexDouble), truth),
                tolerance + (oversampling < 1.5 ? 2e-5 : 2e-6));
    }
  }
}

TEST(NufftOperator, IsTheFourierOperatorOnAGrid) {
  const int64_t h = 8, w = 6;
  const Tensor rows = (at::arange(h, at::kDouble) - h / 2) / h,
               columns = (at::arange(w, at::kDouble) - w / 2) / w;
  const Tensor k = at::stack({rows.unsqueeze(1).expand({h, w}), columns.unsqueeze(0).expand({h, w})}, -1);
  const auto a = make_nufft({2, h, w}, k, {}, {.complex = true, .tolerance = 1e-10});
  const auto f = make_fourier({2, h, w}, at::ones({h, w}, at::kBool), {.complex = true});
  const Tensor x = normal({3, 2, h, w}, 3);
  EXPECT_EQ(a->codomain(), (Shape{h, w, 2}));
  EXPECT_LT(max_difference(a->apply(x).flatten(1), f->apply(x).flatten(1)), 1e-9);
}

TEST(NufftOperator, IsComplexLinearAndHasItsAdjoint) {
  const auto a = make_nufft({2, 9, 8}, radial_trajectory(6, 10, true), some_sensitivities(2, 9, 8, 4),
                            {.complex = true, .tolerance = 1e-3});
  const Tensor x = normal({2, 2, 9, 8}, 5), cx = at::complex(x.select(1, 0), x.select(1, 1));
  const c10::complex<double> i(0, 1);
  const Tensor turned = at::stack({-x.select(1, 1), x.select(1, 0)}, 1);
  const Tensor ax = at::view_as_complex(a->apply(x));
  EXPECT_LT((at::view_as_complex(a->apply(turned)) - ax * i).abs().max().item<double>(), 1e-13);
  const Tensor y = normal(a->apply(x).sizes(), 6), z = a->adjoint(y);
  const Tensor left = (ax * at::view_as_complex(y).conj()).sum(),
               right = (cx * at::complex(z.select(1, 0), z.select(1, 1)).conj()).sum();
  EXPECT_LT((left - right).abs().item<double>(), 1e-12);
}

// A trajectory one sample off, its axes exchanged, and an image that is half a pixel away
TEST(NufftOperator, IsToldFromItsWrongTwins) {
  const int64_t n = 16;
  const Tensor k = radial_trajectory(9, 20, true), x = normal({1, 2, n, n}, 7);
  const Tensor cx = at::complex(x.select(1, 0), x.select(1, 1));
  const auto sum = [&](const Tensor& points) {
    return at::matmul(cx.flatten(1), direct_matrix(points, n, n).t());
  };
  const auto a = make_nufft({2, n, n}, k, {}, {.complex = true});
  const Tensor y = at::view_as_complex(a->apply(x)).reshape({1, -1});
  EXPECT_LT(relative(y, sum(k)), 1e-6);
  EXPECT_GT(relative(y, sum(k.roll({1}, {1}))), 0.3);
  EXPECT_GT(relative(y, sum(k.flip({2}))), 0.3);
  EXPECT_GT(relative(y, sum(-k)), 0.3);
}

// Spreading without the division by the kernel's transform is no adjoint.
TEST(NufftOperator, HasAnAdjointWithTheKernelsTransform) {
  const auto a = make_nufft({2, 12, 12}, radial_trajectory(9, 14, false), {}, {.complex = true});
  const Tensor x = normal({1, 2, 12, 12}, 8), y = normal({1, 9, 14, 2}, 9);
  const double truth = (a->apply(x) * y).sum().item<double>();
  EXPECT_NEAR((a->adjoint(y) * x).sum().item<double>(), truth, 1e-12 * std::abs(truth) + 1e-12);
  const GridKernel kernel = GridKernel::for_accuracy(1e-6, 2);
  Tensor wrong = a->adjoint(y);
  for (int64_t i = 0; i < 12; ++i) {
    wrong.select(2, i).mul_(kernel.transform(static_cast<double>(i - 6) / 24) / kernel.transform(0));
  }
  EXPECT_GT(std::abs((wrong * x).sum().item<double>() - truth), 1e-2);
}

TEST(NufftOperator, HasANormalOperatorThatIsAConvolution) {
  const Tensor s = some_sensitivities(3, 14, 11, 10), k = spiral_trajectory(2, 150, 3);
  for (const bool complex : {true, false}) {
    const Shape domain = complex ? Shape{2, 14, 11} : Shape{14, 11};
    const auto fast = make_nufft(domain, k, s, {.complex = complex, .tolerance = 1e-8});
    const auto slow = make_nufft(domain, k, s, {.complex = complex, .tolerance = 1e-8, .toeplitz = false});
    const Tensor x = normal(with_batch(2, domain), 11);
    EXPECT_LT(relative(fast->normal(x), slow->normal(x)), 1e-7);
  }
}

// The kernel's transform as an integral, by the midpoint rule
TEST(GridKernel, HasTheTransformOfItself) {
  for (const double oversampling : {1.25, 2.0}) {
    const GridKernel kernel = GridKernel::for_accuracy(1e-6, oversampling);
    const int64_t n = 4000;
    std::vector<double> points{0.0, 0.0};
    for (const double frequency : {0.0, 0.1, 0.25, 0.4}) {
      double sum = 0;
      for (int64_t i = 0; i < n; ++i) {
        const double u = static_cast<double>(kernel.width) * ((static_cast<double>(i) + 0.5) / n - 0.5);
        const double z = 2 * u / static_cast<double>(kernel.width);
        sum += std::cyl_bessel_i(0, kernel.beta * std::sqrt(1 - z * z)) *
               std::cos(2 * std::numbers::pi * frequency * u);
      }
      sum *= static_cast<double>(kernel.width) / n / std::cyl_bessel_i(0, kernel.beta);
      EXPECT_NEAR(kernel.transform(frequency), sum, 1e-6 * kernel.transform(0));
    }
  }
}

// Enough points that several bands of rows have some, and an image for which threads share the transforms
TEST(NufftOperator, HasTheSameBitsForAnyNumberOfThreads) {
  const Tensor k = radial_trajectory(40, 150, true);
  const auto a = make_nufft({150, 140}, k, some_sensitivities(2, 150, 140, 12));
  const Tensor x = normal({1, 150, 140}, 13, at::kFloat), y = normal({1, 2, 40, 150, 2}, 14, at::kFloat);
  const Tensor ax = a->apply(x), aty = a->adjoint(y), normal_x = a->normal(x);
  for (const int64_t threads : {2, 5}) {
    Workers workers(threads);
    const UseWorkers use(workers);
    EXPECT_TRUE(at::equal(a->apply(x), ax));
    EXPECT_TRUE(at::equal(a->adjoint(y), aty));
    EXPECT_TRUE(at::equal(a->normal(x), normal_x));
  }
}

TEST(Trajectories, AreWhereTheyAreSaidToBe) {
  const Tensor radial = radial_trajectory(4, 8, false);
  EXPECT_LT(max_difference(radial.select(1, 4), at::zeros({4, 2}, at::kDouble)), 1e-15);
  EXPECT_LT(max_difference(radial[0][0], at::tensor({0.0, -0.5}, at::kDouble)), 1e-15);
  EXPECT_LT(max_difference(radial[2][0], at::tensor({-0.5, 0.0}, at::kDouble)), 1e-15);
  const Tensor spiral = spiral_trajectory(3, 50, 2);
  EXPECT_LT(max_difference(spiral.select(1, 0), at::zeros({3, 2}, at::kDouble)), 1e-15);
  EXPECT_NEAR(spiral[1][49].norm().item<double>(), 0.5, 1e-12);
}

TEST(NufftOperator, NamesWhatIsWrong) {
  const Tensor k = radial_trajectory(3, 8, false);
  expect_error([&] { make_nufft({8, 8}, 8 * k); }, {"nufft.trajectory", "reaches 4", "cycles per pixel"});
  expect_error([&] { make_nufft({8, 8}, at::zeros({5, 3}, at::kDouble)); }, {"nufft.trajectory", "(5, 3)"});
  expect_error([&] { make_nufft({3, 8, 8}, k); }, {"nufft.domain", "(3, 8, 8)"});
  expect_error(
      [&] {
        make_nufft({8, 8}, k, some_sensitivities(2, 8, 9, 1));
      },
      {"nufft.sensitivities", "(2, 8, 9)", "(coils, 8, 8)"});
  expect_error([&] { make_nufft({8, 8}, k, {}, {.tolerance = 0}); }, {"nufft.tolerance", "0"});
  expect_error([&] { make_nufft({8, 8}, k, {}, {.oversampling = 1}); }, {"nufft.oversampling", "1.25"});
  expect_error([] { radial_trajectory(0, 8, false); }, {"nufft.spokes"});
  expect_error([] { spiral_trajectory(1, 8, 0); }, {"nufft.turns"});
}

}  // namespace
}  // namespace tweedie
