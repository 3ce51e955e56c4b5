#include "train/augmentation.h"

#include "check_tensor.h"

#include <cmath>

namespace tweedie {
namespace {

// (rows, 2, 5, 4), in which no two pixels of an image are alike
Tensor images(int64_t rows) {
  return at::arange(2 * 5 * 4, at::kFloat).view({1, 2, 5, 4}).repeat({rows, 1, 1, 1});
}

// x moved down and right, its edges repeated
Tensor moved(const Tensor& x, int64_t down, int64_t right) {
  const Tensor rows = (at::arange(x.size(2)) - down).clamp(0, x.size(2) - 1);
  const Tensor columns = (at::arange(x.size(3)) - right).clamp(0, x.size(3) - 1);
  return x.index_select(2, rows).index_select(3, columns);
}

// How many rows of y are x changed in each of the ways; -1 where one is none of them
std::vector<int64_t> counted(const Tensor& y, const std::vector<Tensor>& ways) {
  std::vector<int64_t> result(ways.size());
  int64_t found = 0;
  for (size_t way = 0; way < ways.size(); ++way) {
    result[way] = y.eq(ways[way]).flatten(1).all(1).sum().item<int64_t>();
    found += result[way];
  }
  EXPECT_EQ(found, y.size(0));
  return result;
}

// Pearson's statistic against equal shares, at most its mean and five standard deviations
bool even(const std::vector<int64_t>& counts, int64_t rows) {
  const double expected = static_cast<double>(rows) / static_cast<double>(counts.size());
  double statistic = 0;
  for (const int64_t count : counts) {
    const double d = static_cast<double>(count) - expected;
    statistic += d * d / expected;
  }
  const auto freedom = static_cast<double>(counts.size() - 1);
  return statistic < freedom + 5 * std::sqrt(2 * freedom);
}

constexpr int64_t rows = 9000;

TEST(Augmentation, MirrorsHalfOfTheImages) {
  const Tensor x = images(1);
  const Tensor y = augmented(images(rows), {.mirror = Mirror::horizontal}, Noise(1));
  EXPECT_TRUE(even(counted(y, {x, x.flip({3})}), rows));
  const Tensor both = augmented(images(rows), {.mirror = Mirror::both}, Noise(1));
  EXPECT_TRUE(even(counted(both, {x, x.flip({3}), x.flip({2}), x.flip({2, 3})}), rows));
  EXPECT_FALSE(even({rows / 2 + 300, rows / 2 - 300}, rows));
}

TEST(Augmentation, MovesEvenlyEitherWay) {
  const Tensor x = images(1);
  std::vector<Tensor> ways;
  for (int64_t down = -1; down <= 1; ++down) {
    for (int64_t right = -1; right <= 1; ++right) {
      ways.push_back(moved(x, down, right));
      ways.push_back(moved(x.flip({3}), down, right));
    }
  }
  const AugmentOptions options{.mirror = Mirror::horizontal, .shift = 1};
  const std::vector<int64_t> counts = counted(augmented(images(rows), options, Noise(2)), ways);
  EXPECT_TRUE(even(counts, rows));
  std::vector<int64_t> lacking = counts;  // as where a shift was never the largest
  lacking[0] += lacking.back();
  lacking.back() = 0;
  EXPECT_FALSE(even(lacking, rows));
}

TEST(Augmentation, IsOfTheRowAlone) {
  const AugmentOptions options{.mirror = Mirror::both, .shift = 2};
  const Tensor all = augmented(images(40), options, Noise(3));
  const Tensor some = augmented(images(2), options, Noise(3).rows({7, 31}));
  EXPECT_TRUE(at::equal(some[0], all[7]));
  EXPECT_TRUE(at::equal(some[1], all[31]));
  EXPECT_FALSE(at::equal(all, augmented(images(40), options, Noise(4))));
  EXPECT_TRUE(at::equal(augmented(images(3), {}, Noise(3)), images(3)));
}

TEST(Augmentation, BadOptionsAreNamed) {
  expect_error([] { check_augmentation({.mirror = Mirror::both}, {2}); },
               {"train.mirror", "(2,)", "(C, H, W)"});
  expect_error([] { check_augmentation({.shift = 4}, {1, 8, 4}); }, {"train.shift", "4", "0 to 3"});
  expect_error(
      [] {
        check_augmentation({.mirror = Mirror::both, .shift = -1}, {1, 8, 4});
      },
      {"train.shift", "-1"});
  check_augmentation({}, {2});
}

}  // namespace
}  // namespace tweedie
