#include "tweedie/dataset.h"

#include "io/image.h"
#include "io/npy.h"
#include "support/broken_files.h"
#include "support/temporary_folder.h"
#include "tweedie/array_io.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

Dataset load(const std::filesystem::path& file, std::optional<double> low = {},
             std::optional<double> high = {}) {
  DataOptions options;
  options.file = file;
  options.low = low;
  options.high = high;
  return load_dataset(options);
}

TEST(IoDataset, FloatsAreTakenAsTheyAre) {
  const TemporaryFolder folder;
  const Tensor x = at::tensor({-3.0, 0.5, 2.0, 7.0}).reshape({2, 2});
  write_npy(folder / "x.npy", x);
  const Dataset data = load(folder / "x.npy");
  EXPECT_TRUE(at::equal(data.x, x.to(at::kFloat)));
  EXPECT_EQ(data.low, -3);
  EXPECT_EQ(data.high, 7);
  EXPECT_EQ(data.name, "x.npy");
  EXPECT_FALSE(data.labels.defined());
  EXPECT_EQ(data.crc, crc32_of(encode_npy(x)));
  EXPECT_EQ(load(folder / "x.npy", -10, 10).high, 10);
  EXPECT_THAT(message_of([&] { load(folder / "x.npy", -1, 10); }), HasSubstr("data.low: -1, but"));
  EXPECT_THAT(message_of([&] { load(folder / "x.npy", -3, 1); }), HasSubstr("data.high: 1, but"));
}

TEST(IoDataset, PixelsAreScaledAndGetAChannel) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", at::tensor({0, 51, 102, 255}, at::kByte).reshape({1, 2, 2}));
  const Dataset data = load(folder / "x.npy");
  EXPECT_EQ(data.x.sizes(), (Shape{1, 1, 2, 2}));
  EXPECT_TRUE(at::allclose(data.x.flatten(), at::tensor({-1.0f, -0.6f, -0.2f, 1.0f})));
  EXPECT_TRUE(at::allclose(load(folder / "x.npy", 0, 1).x.flatten(), at::tensor({0.0f, 0.2f, 0.4f, 1.0f})));
  write_png(folder / "x.png", at::zeros({2, 3}, at::kByte));
  EXPECT_EQ(load(folder / "x.png").x.sizes(), (Shape{1, 1, 2, 3}));
}

TEST(IoDataset, OtherShapesAndTypes) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", at::arange(3));
  EXPECT_TRUE(at::equal(load(folder / "x.npy").x, at::tensor({0.0f, 1.0f, 2.0f}).reshape({3, 1})));
  write_text(folder / "x.csv", "a,b\n1,2\n3,4\n");
  EXPECT_EQ(load(folder / "x.csv").x.sizes(), (Shape{2, 2}));
  for (const Tensor& wrong : {at::zeros({0, 2}), at::scalar_tensor(1.0), at::zeros({2, 2}, at::kComplexFloat),
                              at::tensor({1e300})}) {
    write_npy(folder / "x.npy", wrong);
    EXPECT_THROW(load(folder / "x.npy"), Error);
  }
}

TEST(IoDataset, BadOptionsAreNamed) {
  EXPECT_THAT(message_of([] { load(""); }), HasSubstr("data.file: "));
  EXPECT_THAT(message_of([] { load("x", 0.0); }), HasSubstr("data.high: is missing"));
  EXPECT_THAT(message_of([] { load("x", 1.0, 1.0); }), HasSubstr("data.high: 1, but"));
  EXPECT_THAT(message_of([] { load("/no/such/file.npy"); }), HasSubstr("/no/such/file.npy: no such file"));
}

TEST(IoDataset, AMissingDataSetNamesItsPackage) {
  DataOptions options;
  options.kind = DataKind::fashion_mnist;
  options.folder = "/no/such/folder";
  EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("apt-get install dataset-fashion-mnist"));
}

TEST(IoDataset, FashionMnistIsWhatItsAuthorsPublished) {
  DataOptions options;
  options.kind = DataKind::fashion_mnist;
  if (!std::filesystem::exists(options.folder)) GTEST_SKIP() << "dataset-fashion-mnist is not installed";
  const Dataset train = load_dataset(options);
  EXPECT_EQ(train.x.sizes(), (Shape{60000, 1, 28, 28}));
  EXPECT_EQ(train.x.scalar_type(), at::kFloat);
  EXPECT_TRUE(train.labels.bincount().eq(6000).all().item<bool>());
  EXPECT_EQ(train.labels[0].item<int64_t>(), 9);  // an ankle boot
  EXPECT_EQ(train.x[0][0][0][0].item<float>(), -1.0f);
  // The mean and standard deviation that are in use for normalising: 0.2860 and 0.3530 of [0, 1].
  EXPECT_NEAR((train.x.mean().item<double>() + 1) / 2, 0.2860, 1e-4);
  EXPECT_NEAR(train.x.std().item<double>() / 2, 0.3530, 1e-4);
  EXPECT_EQ(train.x.min().item<float>(), -1.0f);
  EXPECT_NEAR(train.x.max().item<float>(), 1.0f, 1e-6);

  options.split = DataSplit::test;
  const Dataset test = load_dataset(options);
  EXPECT_EQ(test.x.size(0), 10000);
  EXPECT_TRUE(test.labels.bincount().eq(1000).all().item<bool>());
  EXPECT_EQ(test.labels.slice(0, 0, 3).eq(at::tensor({9, 2, 1})).sum().item<int64_t>(), 3);
  EXPECT_NE(test.crc, train.crc);
}

}  // namespace
}  // namespace tweedie::test
