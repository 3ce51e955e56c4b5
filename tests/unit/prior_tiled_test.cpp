#include "tweedie/tiled_denoiser.h"

#include "tweedie/gaussian_prior.h"

#include "check_tensor.h"

#include <cmath>
#include <numbers>

namespace tweedie {
namespace {

// A stationary Gaussian on h x w pixels: correlation rho^(rows + columns between them), variance 1.
std::shared_ptr<const GaussianPrior> field(int64_t h, int64_t w, double rho) {
  const auto line = [&](int64_t n) {
    const Tensor i = at::arange(n, at::kDouble);
    return at::pow(at::scalar_tensor(rho, at::kDouble), (i.unsqueeze(0) - i.unsqueeze(1)).abs());
  };
  return std::make_shared<GaussianPrior>(
      GaussianPrior::full(at::zeros({1, h, w}, at::kDouble), at::kron(line(h), line(w))));
}

std::shared_ptr<const GaussianPrior> independent(const Shape& shape, double variance) {
  return std::make_shared<GaussianPrior>(
      GaussianPrior::diagonal(at::full(shape, 0.5, at::kDouble), at::full(shape, variance, at::kDouble)));
}

TEST(TiledDenoiser, IsExactForIndependentPixels) {
  for (const int64_t overlap : {0, 1, 3, 7}) {
    const TiledDenoiser tiled(independent({2, 8, 9}, 2), 21, 30, {.overlap = overlap, .together = 5});
    const Tensor x = normal({3, 2, 21, 30}, 1), v = normal({3, 2, 21, 30}, 2);
    const Tensor sigma = at::tensor({0.1, 1.0, 10.0}, at::kDouble);
    const auto whole = independent({2, 21, 30}, 2);
    const Linearised a = linearise(tiled, x, sigma), b = linearise(*whole, x, sigma);
    EXPECT_LT(max_difference(tiled.mean(x, sigma), whole->mean(x, sigma)), 1e-14) << overlap;
    EXPECT_LT(max_difference(a.mean, b.mean), 1e-14) << overlap;
    EXPECT_LT(max_difference(a.vjp(v), b.vjp(v)), 1e-14) << overlap;
  }
}

// For a stationary field that forgets within the overlap, a window's D differs from that of the whole by what
// lies beyond its edge. E[x_i | a window] feels the rest by the posterior correlation of i and the edge, at
// most rho^d at d pixels from it, times the values there, some four standard deviations. The weights are
// small near the edge: sin^2(pi/2 (d + 1/2) / o) <= (pi/2 (d + 1/2) / o)^2. So the error is below
//   4 sqrt(1 + sigma^2) sum over the (up to 4) windows of max_d rho^(d + 1) (pi/2 (d + 1/2) / o)^2.
TEST(TiledDenoiser, ErrsLessThanTheFieldReachesAcrossTheOverlap) {
  const double rho = 0.3, sigma = 0.5;
  const int64_t n = 20, window = 12, overlap = 8;
  const auto whole = field(n, n, rho);
  const Tensor x = normal({4, 1, n, n}, 3) * std::sqrt(1 + sigma * sigma);
  const Tensor exact = whole->mean(x, sigma);
  const auto error = [&](int64_t shared) {
    const TiledDenoiser tiled(field(window, window, rho), n, n, {.overlap = shared});
    return max_difference(tiled.mean(x, sigma), exact);
  };
  double worst = 0;
  for (int64_t d = 0; d < overlap; ++d) {
    const double weight =
        std::numbers::pi / 2 * (static_cast<double>(d) + 0.5) / static_cast<double>(overlap);
    worst = std::max(worst, std::pow(rho, static_cast<double>(d + 1)) * weight * weight);
  }
  const double bound = 4 * std::sqrt(1 + sigma * sigma) * 4 * worst;
  EXPECT_LT(error(overlap), bound);
  // Without overlap there is a seam, which the bound sees.
  const TiledDenoiser seamed(field(10, 10, rho), n, n, {.overlap = 0});
  EXPECT_GT(max_difference(seamed.mean(x, sigma), exact), bound);
}

// Where windows meet, the error of what has no overlap is many times that in their middles; with overlap it
// is not.
TEST(TiledDenoiser, HasNoSeams) {
  const double rho = 0.6, sigma = 1;
  const int64_t n = 20;
  const Tensor x = normal({16, 1, n, n}, 4) * std::sqrt(2.0), exact = field(n, n, rho)->mean(x, sigma);
  const auto rms_at = [&](const Tensor& d, int64_t from, int64_t to) {
    const Tensor error = (d - exact).slice(2, 3, 7).slice(3, from, to);  // rows in the middle of windows
    return std::sqrt(error.square().mean().item<double>());
  };
  const auto seam = [&](int64_t window, int64_t overlap) {
    const Tensor d = TiledDenoiser(field(window, window, rho), n, n, {.overlap = overlap}).mean(x, sigma);
    return rms_at(d, 9, 11);
  };
  const double without = seam(10, 0), with = seam(15, 10);
  EXPECT_GT(without, 10 * with);
}

TEST(TiledDenoiser, VjpIsTheTransposeWhetherKeptOrNot) {
  const auto tile = field(6, 5, 0.5);
  const TiledDenoiser kept(tile, 9, 8, {.overlap = 2, .together = 3});
  const TiledDenoiser again(tile, 9, 8, {.overlap = 2, .together = 3, .keep_bytes = 0});
  const Tensor x = normal({1, 1, 9, 8}, 5), v = normal({1, 1, 9, 8}, 6), u = normal({1, 1, 9, 8}, 7);
  const Linearised a = linearise(kept, x, 0.7), b = linearise(again, x, 0.7);
  EXPECT_TRUE(at::equal(a.mean, b.mean));
  EXPECT_TRUE(at::equal(a.vjp(v), b.vjp(v)));
  // D is affine in x: <v, D(x + u) - D(x)> = <J^T v, u>
  const double forward = (v * (kept.mean(x + u, 0.7) - kept.mean(x, 0.7))).sum().item<double>();
  EXPECT_NEAR(forward, (a.vjp(v) * u).sum().item<double>(), 1e-12);
}

TEST(TiledDenoiser, NoBitDependsOnHowManyAreEvaluatedTogether) {
  const auto tile = independent({1, 8, 8}, 3);
  const Tensor x = normal({2, 1, 20, 27}, 8, at::kFloat);
  const Tensor sigma = at::tensor({0.3f, 2.0f});
  const TiledDenoiser one(tile, 20, 27, {.overlap = 3, .together = 1});
  for (const int64_t together : {2, 7, 100}) {
    const TiledDenoiser many(tile, 20, 27, {.overlap = 3, .together = together});
    EXPECT_TRUE(at::equal(many.mean(x, sigma), one.mean(x, sigma))) << together;
  }
  // A row is the same beside any other.
  EXPECT_TRUE(at::equal(one.mean(x.slice(0, 1, 2), sigma.slice(0, 1, 2)), one.mean(x, sigma).slice(0, 1, 2)));
}

TEST(TiledDenoiser, RefusesWhatDoesNotFit) {
  const auto tile = independent({1, 8, 8}, 1);
  expect_error([&] { TiledDenoiser(tile, 7, 9, {}); }, {"prior.tile.size", "7 x 9", "8 x 8"});
  expect_error([&] { TiledDenoiser(tile, 9, 9, {.overlap = 8}); }, {"prior.tile.overlap", "8", "0 to 7"});
  expect_error([&] { TiledDenoiser(tile, 9, 9, {.overlap = -1}); }, {"prior.tile.overlap", "-1"});
  expect_error([&] { TiledDenoiser(independent({8}, 1), 9, 9, {}); }, {"prior.tile", "(8,)", "images"});
  EXPECT_EQ(TiledDenoiser(tile, 8, 8, {.overlap = 3}).windows(), 1);
}

}  // namespace
}  // namespace tweedie
