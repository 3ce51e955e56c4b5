// Each operator against its definition, written out.

#include "core/shape.h"
#include "tweedie/operators.h"

#include "check_tensor.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

// y[i] = sum_j kernel[j] x[i + c - j], c = floor(size / 2)
Tensor convolve(const Tensor& x, const Tensor& kernel, Boundary boundary) {
  const int64_t h = x.size(0), w = x.size(1), kh = kernel.size(0), kw = kernel.size(1);
  Tensor y = at::zeros({h, w}, at::kDouble);
  const auto in = x.accessor<double, 2>(), k = kernel.accessor<double, 2>();
  auto out = y.accessor<double, 2>();
  for (int64_t i = 0; i < h; ++i) {
    for (int64_t j = 0; j < w; ++j) {
      for (int64_t p = 0; p < kh; ++p) {
        for (int64_t q = 0; q < kw; ++q) {
          int64_t a = i + kh / 2 - p, b = j + kw / 2 - q;
          if (boundary == Boundary::zero && (a < 0 || a >= h || b < 0 || b >= w)) continue;
          a = (a % h + h) % h;
          b = (b % w + w) % w;
          out[i][j] += k[p][q] * in[a][b];
        }
      }
    }
  }
  return y;
}

TEST(Blur, IsTheConvolution) {
  for (const Shape& image : {Shape{7, 6}, Shape{5, 8}, Shape{1, 4}}) {
    for (const Shape& size :
         {Shape{3, 3}, Shape{2, 4}, Shape{4, 1}, Shape{5, 2}, Shape{9, 12}, Shape{20, 21}}) {
      for (const auto boundary : {Boundary::circular, Boundary::zero}) {
        const Tensor x = normal(image, 1), kernel = normal(size, 2);
        const Tensor y = make_blur(image, kernel, boundary)->apply(x.unsqueeze(0))[0];
        EXPECT_LT((y - convolve(x, kernel, boundary)).abs().max().item<double>(), 1e-12)
            << to_string(image) << to_string(size);
      }
    }
  }
}

TEST(Blur, ActsOnEveryChannelAlike) {
  const Tensor x = normal({2, 3, 5, 4}, 3), kernel = normal({3, 2}, 4);
  const Tensor y = make_blur({3, 5, 4}, kernel, Boundary::zero)->apply(x);
  EXPECT_LT((y[1][2] - convolve(x[1][2], kernel, Boundary::zero)).abs().max().item<double>(), 1e-13);
}

TEST(GaussianKernel, HasItsVarianceAndSum) {
  const Tensor k = gaussian_kernel(2.5, 6);
  ASSERT_EQ(k.sizes().vec(), (Shape{31, 31}));
  const Tensor i = at::arange(-15, 16, at::kDouble);
  EXPECT_NEAR(k.sum().item<double>(), 1, 1e-14);
  EXPECT_NEAR((k.sum(1) * i.square()).sum().item<double>(), 6.25, 1e-5);  // what lies beyond 6 std
  EXPECT_TRUE(at::allclose(k, k.t()));
  EXPECT_TRUE(at::allclose(k, k.flip({0, 1})));
}

TEST(Downsample, Averages) {
  const Tensor x = at::arange(24, at::kDouble).view({1, 1, 4, 6});
  const Tensor truth = at::tensor({3.5, 5.5, 7.5, 15.5, 17.5, 19.5}, at::kDouble).view({1, 1, 2, 3});
  EXPECT_TRUE(at::equal(make_downsample({1, 4, 6}, 2)->apply(x), truth));
}

TEST(Mask, KeepsTheEntriesInOrder) {
  const Tensor keep = at::tensor({0, 1, 1, 0, 0, 1}).to(at::kBool).view({2, 3});
  const auto a = make_mask(keep);
  const Tensor x = at::arange(6, at::kDouble).view({1, 2, 3});
  EXPECT_TRUE(at::equal(a->apply(x), at::tensor({1., 2., 5.}, at::kDouble).view({1, 3})));
  EXPECT_TRUE(at::equal(a->normal(x), x * keep));
}

TEST(RandomMask, KeepsExactlyTheFractionInAllChannels) {
  for (const double fraction : {0.01, 0.25, 0.333, 1.0}) {
    const Tensor keep = random_mask({3, 28, 28}, fraction, Noise(5));
    EXPECT_EQ(keep[0].sum().item<int64_t>(), std::llround(fraction * 784));
    EXPECT_TRUE(at::equal(keep[0], keep[2]));
  }
  EXPECT_TRUE(at::equal(random_mask({9, 9}, 0.5, Noise(6)), random_mask({9, 9}, 0.5, Noise(6))));
  EXPECT_FALSE(at::equal(random_mask({9, 9}, 0.5, Noise(6)), random_mask({9, 9}, 0.5, Noise(7))));
}

// How often each of 16 pixels is kept in 2000 masks of 4: chi-squared with 15 degrees of freedom once scaled
// by the covariance of drawing without replacement, (1 - 1/4) 16 / 15. Mean 15, 5 standard deviations above
// 15 + 27.4.
double uniformity(const std::function<Tensor(uint64_t)>& mask) {
  constexpr int masks = 2000;
  Tensor count = at::zeros({16}, at::kDouble);
  for (int i = 0; i < masks; ++i) count += mask(i).flatten();
  const double expected = masks / 4.0;
  return ((count - expected).square() / expected).sum().item<double>() / (0.75 * 16 / 15);
}

TEST(RandomMask, IsUniform) {
  EXPECT_LT(uniformity([](uint64_t seed) { return random_mask({4, 4}, 0.25, Noise(seed)); }), 42.4);
  const auto shifted = [](uint64_t seed) {  // whole runs of pixels, never across the edge
    Tensor keep = at::zeros({16}, at::kDouble);
    keep.narrow(0, Noise(seed).permutation(13)[0], 4).fill_(1);
    return keep;
  };
  EXPECT_GT(uniformity(shifted), 42.4);
}

TEST(BoxMask, HidesTheBox) {
  const Tensor keep = box_mask({2, 5, 6}, 1, 2, 3, 4);
  EXPECT_EQ(keep.logical_not().sum().item<int64_t>(), 2 * 12);
  EXPECT_FALSE(keep[1][1][2].item<bool>());
  EXPECT_FALSE(keep[0][3][5].item<bool>());
  EXPECT_TRUE(keep[0][4][2].item<bool>());
  EXPECT_TRUE(keep[0][1][1].item<bool>());
}

}  // namespace
}  // namespace tweedie
