#include "tweedie/operator_options.h"

#include "core/shape.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

namespace tweedie {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

const Shape image{3, 28, 24};

LinearOperatorPtr make(const OperatorOptions& options, const Tensor& file = {}, const Shape& domain = image) {
  return std::dynamic_pointer_cast<const LinearOperator>(
      make_operator(options, domain, Noise(1), [&](const auto&) { return file; }));
}

TEST(MakeOperator, MakesEach) {
  using Pattern = MaskOptions::Pattern;
  const Tensor x = Noise(2).normal(with_batch(2, image), at::kDouble);
  EXPECT_TRUE(at::equal(make(IdentityOptions{})->apply(x), x));
  EXPECT_EQ(make(MaskOptions{})->codomain(), (Shape{3 * 7 * 24}));
  EXPECT_EQ(make(MaskOptions{.pattern = Pattern::box, .height = 2, .width = 5})->codomain(),
            (Shape{3 * (28 * 24 - 10)}));
  const Tensor keep = random_mask({28, 24}, 0.5, Noise(3));
  const MaskOptions from_file{.pattern = Pattern::file, .file = "keep.npy"};
  EXPECT_TRUE(at::equal(make(from_file, keep.to(at::kDouble))->normal(x), x * keep));
  EXPECT_TRUE(at::equal(make(from_file, keep.expand(image))->normal(x), x * keep));
  const Tensor kernel = gaussian_kernel(1.5);
  const BlurOptions file_blur{
      .kernel = BlurOptions::Kernel::file, .file = "k.npy", .boundary = Boundary::zero};
  EXPECT_TRUE(
      at::equal(make(file_blur, kernel)->apply(x), make_blur(image, kernel, Boundary::zero)->apply(x)));
  EXPECT_TRUE(at::equal(make(BlurOptions{.std = 1.5})->apply(x), make_blur(image, kernel)->apply(x)));
  EXPECT_EQ(make(DownsampleOptions{4})->codomain(), (Shape{3, 7, 6}));
  EXPECT_EQ(make(MatrixOptions{"a.npy"}, at::ones({5, 4}, at::kDouble), {4})->codomain(), (Shape{5}));
}

struct Bad {
  OperatorOptions options;
  Tensor file;
  Shape domain;
  std::string place, what;
};

TEST(MakeOperator, NamesTheFieldTheValueAndWhatWasMeant) {
  using Pattern = MaskOptions::Pattern;
  using Kernel = BlurOptions::Kernel;
  const Tensor nan = at::full({3, 3}, NAN, at::kDouble), half = at::full({28, 24}, 0.5, at::kDouble);
  const auto box = [](int64_t top, int64_t left, int64_t height, int64_t width) {
    return MaskOptions{.pattern = Pattern::box, .top = top, .left = left, .height = height, .width = width};
  };
  const MaskOptions mask_file{.pattern = Pattern::file, .file = "keep.npy"};
  const BlurOptions blur_file{.kernel = Kernel::file, .file = "k.npy"};
  const std::vector<Bad> table{
      {MaskOptions{.fraction = 0}, {}, image, "fraction", "0, but a fraction 0 < fraction <= 1"},
      {MaskOptions{.fraction = 1.5}, {}, image, "fraction", "1.5"},
      {MaskOptions{.fraction = NAN}, {}, image, "fraction", "nan"},
      {MaskOptions{.fraction = 1e-6}, {}, image, "fraction", "1e-06 of 672 pixels is none"},
      {box(28, 0, 1, 1), {}, image, "top", "28, but 0 to 27"},
      {box(-1, 0, 1, 1), {}, image, "top", "-1"},
      {box(0, 24, 1, 1), {}, image, "left", "24, but 0 to 23"},
      {box(0, 0, 0, 1), {}, image, "height", "0, but 1 to 28"},
      {box(20, 0, 9, 1), {}, image, "height", "9, but 1 to 8"},
      {box(0, 20, 1, 5), {}, image, "width", "5, but 1 to 4"},
      {box(0, 0, 28, 24), {}, image, "height", "hides the whole image"},
      {box(0, 0, 1, 1), {}, {9}, "", "(9,)"},
      {MaskOptions{.pattern = Pattern::file}, {}, image, "file", "no file"},
      {mask_file, at::ones({28, 28}), image, "file",
       "keep.npy: shape (28, 28), but (3, 28, 24) or (height, width)"},
      {mask_file, half, image, "file", "besides 0 and 1"},
      {mask_file, at::zeros({28, 24}), image, "file", "keeps none"},
      {BlurOptions{.std = 0}, {}, image, "std", "0, but 0 < std"},
      {BlurOptions{.std = INFINITY}, {}, image, "std", "inf"},
      {BlurOptions{}, {}, {9}, "", "shape (9,), but an image"},
      {BlurOptions{.kernel = Kernel::file}, {}, image, "file", "no file"},
      {blur_file, at::ones({3}), image, "file", "k.npy: shape (3,), but (height, width)"},
      {blur_file, at::ones({3, 3}, at::kLong), image, "file", "float32 or float64"},
      {blur_file, nan, image, "file", "9 of 9 values are NaN"},
      {DownsampleOptions{3}, {}, image, "factor", "3 does not divide the image's height 28"},
      {DownsampleOptions{7}, {}, image, "factor", "7 does not divide the image's width 24"},
      {DownsampleOptions{0}, {}, image, "factor", "0, but >= 1"},
      {DownsampleOptions{2}, {}, {8}, "", "(8,)"},
      {MatrixOptions{}, {}, image, "matrix", "no file"},
      {MatrixOptions{"a.npy"}, at::ones({3, 5}), {4}, "matrix", "a.npy: shape (3, 5), but (m, 4)"},
      {MatrixOptions{"a.npy"}, at::ones({4}), {4}, "matrix", "shape (4,)"},
      {MatrixOptions{"a.npy"}, nan, {3}, "matrix", "NaN"},
      {IdentityOptions{}, {}, {3, 0}, "", "(3, 0)"},
  };
  for (const Bad& bad : table) {
    try {
      make(bad.options, bad.file, bad.domain);
      ADD_FAILURE() << "accepted: " << bad.place << " " << bad.what;
    } catch (const Error& e) {
      const std::string place = "measurement.operator" + (bad.place.empty() ? "" : "." + bad.place);
      EXPECT_EQ(e.place(), place) << e.what();
      EXPECT_THAT(e.what(), HasSubstr(bad.what));
    }
  }
}

TEST(MakeOperator, PassesOnWhatReadingThrows) {
  const auto fails = [](const std::filesystem::path& path) -> Tensor {
    throw Error(path.string(), "not there");
  };
  try {
    make_operator(MatrixOptions{"a.npy"}, image, Noise(1), fails);
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), StartsWith("a.npy: not there"));
  }
}

}  // namespace
}  // namespace tweedie
