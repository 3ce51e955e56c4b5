// Operators on images and of compressed sensing against their definitions, written out.

#include "core/shape.h"
#include "operator/transforms.h"
#include "tweedie/image_operators.h"
#include "tweedie/operator_check.h"
#include "tweedie/sensing.h"

#include "check_tensor.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

TEST(Transforms, AreTheirMatrices) {
  for (const int64_t n : {1, 2, 3, 8, 15, 16, 29}) {
    const Tensor i = at::arange(n, at::kDouble), k = i.unsqueeze(1);
    Tensor c = (M_PI * k * (2 * i + 1) / (2 * static_cast<double>(n))).cos() *
               std::sqrt(2.0 / static_cast<double>(n));
    c[0] = c[0] / std::sqrt(2.0);
    const Tensor x = normal({3, n}, n);
    EXPECT_LT((dct(x) - x.matmul(c.t())).abs().max().item<double>(), 1e-13) << n;
    EXPECT_LT((inverse_dct(x) - x.matmul(c)).abs().max().item<double>(), 1e-13) << n;
  }
  Tensor h = at::ones({1, 1}, at::kDouble);
  for (int level = 0; level < 4; ++level) h = at::cat({at::cat({h, h}, 1), at::cat({h, -h}, 1)}, 0);
  const Tensor x = normal({3, 16}, 40);
  EXPECT_LT((walsh_hadamard(x) - x.matmul(h.t()) / 4).abs().max().item<double>(), 1e-14);
}

// Keys's kernel at the distances 1/4, 3/4, 5/4 and 7/4 of a half as large image, each weight twice, over
// their sum: what imresize(x, 1/2) has.
TEST(Bicubic, HasTheWeightsOfImresize) {
  const auto cubic = [](double t) {
    return t <= 1 ? 1.5 * t * t * t - 2.5 * t * t + 1 : -0.5 * t * t * t + 2.5 * t * t - 4 * t + 2;
  };
  const Tensor row = make_bicubic({1, 16}, 1)->dense()[5];  // factor 1: nothing changes
  EXPECT_TRUE(at::equal(row, at::eye(16, at::kDouble)[5]));
  const Tensor r = make_bicubic({2, 16}, 2)->dense();
  Tensor weights = at::zeros({16}, at::kDouble);
  for (int j = 0; j < 8; ++j) weights[5 + j - 0] += cubic(std::abs(3.5 - j) / 2) / 2;
  // Column 4 of the small image looks at 8.5 of the large one: pixels 5 to 12. Both rows count the same, by
  // mirroring.
  const Tensor seen = r[4].view({2, 16}).sum(0);
  EXPECT_LT((seen - weights / weights.sum()).abs().max().item<double>(), 1e-15);
  EXPECT_LT((r.sum(1) - 1).abs().max().item<double>(), 1e-15);
}

// Upsampling by the mirrored kernel, as is often taken for the adjoint: right inside, wrong at the edge.
class WrongBicubic final : public LinearOperator {
 public:
  Shape domain() const override { return {8, 8}; }
  Shape codomain() const override { return {4, 4}; }

 protected:
  Tensor do_apply(const Tensor& x) const override { return a_->apply(x); }
  Tensor do_adjoint(const Tensor& y) const override {
    return at::upsample_bicubic2d(y.unsqueeze(1), {8, 8}, false).squeeze(1) / 4;
  }

 private:
  LinearOperatorPtr a_ = make_bicubic({8, 8}, 2);
};

TEST(Bicubic, OfAnInterpolationIsNoAdjoint) {
  const auto fails = [](const LinearOperator& a) { return !check_operator(a, {.quick = true})[0].passed(); };
  EXPECT_FALSE(fails(*make_bicubic({8, 8}, 2)));
  EXPECT_TRUE(fails(WrongBicubic()));
}

TEST(MotionKernel, IsASegment) {
  const Tensor line = motion_kernel(5, 0);
  ASSERT_EQ(line.sizes().vec(), (Shape{1, 7}));
  EXPECT_NEAR(line.sum().item<double>(), 1, 1e-14);
  EXPECT_TRUE(at::allclose(line, line.flip({1})));
  EXPECT_NEAR(line[0][3].item<double>(), 0.2, 1e-3);
  EXPECT_TRUE(at::allclose(motion_kernel(5, 90), line.t(), 0, 1e-12));
  const Tensor k = motion_kernel(12, 35);
  // The covariance of a segment is length^2 / 12 along it, and a pixel's own spread of tent functions: 1/6 an
  // axis.
  const Tensor i = at::arange(k.size(0), at::kDouble) - k.size(0) / 2,
               j = at::arange(k.size(1), at::kDouble) - k.size(1) / 2;
  const double across = -(k * i.outer(j)).sum().item<double>();  // rows point down
  EXPECT_NEAR(across, 12 * std::sin(35 * M_PI / 180) * std::cos(35 * M_PI / 180), 1e-2);
}

TEST(VaryingBlur, IsAMixtureOfItsBlurs) {
  const Tensor k = normal({3, 3}, 1), x = normal({2, 6, 9}, 2);
  const auto one = make_varying_blur({6, 9}, k.expand({2, 3, 3, 3}));
  EXPECT_TRUE(at::allclose(one->apply(x), make_blur({6, 9}, k)->apply(x)));  // the weights sum to 1
  const Tensor kernels = normal({1, 3, 3, 3}, 3);
  const Tensor y = make_varying_blur({6, 9}, kernels)->apply(x);
  EXPECT_TRUE(at::allclose(y.select(2, 0), make_blur({6, 9}, kernels[0][0])->apply(x).select(2, 0)));
  EXPECT_TRUE(at::allclose(y.select(2, 4), make_blur({6, 9}, kernels[0][1])->apply(x).select(2, 4)));
}

TEST(Colour, MixesChannels) {
  const Tensor x = normal({2, 3, 4, 5}, 4), w = at::tensor({0.5, 0.25, 0.125}, at::kDouble);
  const Tensor y = make_colour({3, 4, 5}, w.unsqueeze(0))->apply(x);
  EXPECT_TRUE(at::allclose(y.select(1, 0), (x * w.view({1, 3, 1, 1})).sum(1)));
}

TEST(Differences, AreDifferences) {
  const Tensor x = normal({1, 3, 4}, 5);
  const Tensor y = make_differences({3, 4})->apply(x)[0];
  EXPECT_TRUE(at::equal(y[0].narrow(0, 0, 2), x[0].diff(1, 0)));
  EXPECT_TRUE(at::equal(y[1].narrow(1, 0, 3), x[0].diff(1, 1)));
  EXPECT_EQ(y[0][2].abs().sum().item<double>() + y[1].select(1, 3).abs().sum().item<double>(), 0);
}

// A polynomial of degree p - 1 has no details in a wavelet of p vanishing moments.
TEST(Wavelet, HasVanishingMoments) {
  const Tensor i = at::arange(64, at::kDouble) / 64;
  int p = 1;
  for (const auto wavelet : {Wavelet::haar, Wavelet::db2, Wavelet::db3, Wavelet::db4}) {
    const Tensor low = i.pow(p - 1), high = i.pow(p);
    const auto details = [&](const Tensor& x) {
      return make_wavelet({64}, wavelet, 1)
          ->apply(x.unsqueeze(0))[0]
          .narrow(0, 32, 24)
          .abs()
          .max()
          .item<double>();
    };
    EXPECT_LT(details(low), 1e-13) << p;
    EXPECT_GT(details(high), 1e-9) << p;
    ++p;
  }
}

TEST(Wavelet, OfHaarAverages) {
  const Tensor x = at::tensor({1., 3., 5., 9.}, at::kDouble).view({1, 4});
  const Tensor y = at::tensor({9., -5., -std::sqrt(2.), -4 / std::sqrt(2.)}, at::kDouble).view({1, 4});
  EXPECT_LT((make_wavelet({4}, Wavelet::haar, 2)->apply(x) - y).abs().max().item<double>(), 1e-14);
}

TEST(CompressedSensing, IsAFunctionOfItsSeed) {
  const Tensor x = normal({2, 1, 8, 8}, 6);
  const auto sensed = [&](uint64_t seed, FastTransform t) {
    return make_subsampled_transform({1, 8, 8}, t, 20, true, Noise(seed))->apply(x);
  };
  for (const auto t : {FastTransform::hadamard, FastTransform::dct}) {
    EXPECT_TRUE(at::equal(sensed(1, t), sensed(1, t)));
    EXPECT_FALSE(at::equal(sensed(1, t), sensed(2, t)));
  }
}

// Entries N(0, 1 / m): the mean of |A x|^2 / |x|^2 over m rows is 1, with standard deviation sqrt(2 / m).
TEST(CompressedSensing, GaussianKeepsLengths) {
  const Tensor x = normal({1, 500}, 7);
  const double ratio = make_gaussian_sensing({500}, 400, Noise(1))->apply(x).square().sum().item<double>() /
                       x.square().sum().item<double>();
  EXPECT_NEAR(ratio, 1, 5 * std::sqrt(2.0 / 400));
}

// Too large to be stored: made anew each time, with the same rows and the same adjoint.
TEST(CompressedSensing, GaussianWithoutItsMatrix) {
  const Shape domain{64, 64};
  const auto a = make_gaussian_sensing(domain, 1000, Noise(2));
  const Tensor x = normal({1, 64, 64}, 8), y = normal({1, 1000}, 9);
  const Tensor ax = a->apply(x), aty = a->adjoint(y);
  EXPECT_NEAR((ax * y).sum().item<double>(), (x * aty).sum().item<double>(), 1e-10);
  EXPECT_TRUE(at::equal(ax, a->apply(at::cat({x, x + 1}))[0].unsqueeze(0)));
}

TEST(Sparse, IsItsMatrix) {
  const SparseMatrix m{3, 4, at::tensor({0, 2, 2, 4}, at::kInt), at::tensor({1, 3, 0, 0}, at::kInt),
                       at::tensor({2.f, -1.f, 0.5f, 4.f})};
  const Tensor dense =
      at::tensor({0., 2., 0., -1., 0., 0., 0., 0., 4.5, 0., 0., 0.}, at::kDouble).view({3, 4});
  EXPECT_TRUE(at::equal(make_sparse({4}, m)->dense(), dense));
  EXPECT_TRUE(at::equal(make_sparse({3}, transposed(m))->dense(), dense.t()));
}

TEST(ImageOperators, RefuseWhatMakesNoSense) {
  EXPECT_THROW(make_crop({4, 4}, 3, 0, 2, 2), Error);
  EXPECT_THROW(make_crop({4}, 0, 0, 1, 1), Error);
  EXPECT_THROW(make_bicubic({5, 4}, 2), Error);
  EXPECT_THROW(motion_kernel(0, 0), Error);
  EXPECT_THROW(motion_kernel(3, INFINITY), Error);
  EXPECT_THROW(make_varying_blur({4, 4}, normal({3, 3}, 1)), Error);
  EXPECT_THROW(make_varying_blur({4, 4}, normal({5, 1, 2, 2}, 1)), Error);
  EXPECT_THROW(make_colour({3, 4}, normal({2, 4}, 1)), Error);
  EXPECT_THROW(make_wavelet({6, 8}, Wavelet::haar, 2), Error);
  EXPECT_THROW(make_gaussian_sensing({4}, 0, Noise(1)), Error);
  EXPECT_THROW(make_subsampled_transform({6}, FastTransform::hadamard, 2, true, Noise(1)), Error);
  EXPECT_THROW(make_subsampled_transform({6}, FastTransform::dct, 7, true, Noise(1)), Error);
  const Tensor offsets = at::tensor({0, 1}, at::kLong), values = at::ones({1}, at::kDouble);
  EXPECT_THROW(make_sparse({4}, {1, 4, offsets, at::tensor({4}, at::kLong), values}), Error);
  EXPECT_THROW(make_sparse({4}, {1, 4, at::tensor({0, 2}, at::kLong), at::tensor({1}, at::kLong), values}),
               Error);
  EXPECT_THROW(make_sparse({5}, {1, 4, offsets, at::tensor({1}, at::kLong), values}), Error);
  EXPECT_THROW(make_sparse({4}, {1, 4, offsets, at::tensor({1.}), values}), Error);
}

}  // namespace
}  // namespace tweedie
