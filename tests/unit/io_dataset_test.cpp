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

// x of 2 numbers and a label, a row
std::string labelled_csv(const std::string& third_label) {
  return "a,b,class\n1,2,0\n3,4,7\n5,6," + third_label + "\n";
}

TEST(IoDataset, AColumnOfLabels) {
  const TemporaryFolder folder;
  write_text(folder / "x.csv", labelled_csv("1"));
  DataOptions options;
  options.file = folder / "x.csv";
  options.label_column = -1;
  const Dataset data = load_dataset(options);
  EXPECT_TRUE(at::equal(data.x, at::tensor({1.0f, 2.0f, 3.0f, 4.0f, 5.0f, 6.0f}).view({3, 2})));
  EXPECT_TRUE(at::equal(data.labels, at::tensor({0, 7, 1}, at::kLong)));
  EXPECT_EQ(data.high, 6);  // without the labels
  options.label_column = 2;
  EXPECT_TRUE(at::equal(load_dataset(options).labels, data.labels));
  options.label_column = 0;
  EXPECT_TRUE(at::equal(load_dataset(options).x.select(1, 1), at::tensor({0.0f, 7.0f, 1.0f})));
  for (const int64_t column : {3, -4}) {
    options.label_column = column;
    EXPECT_THAT(message_of([&] { load_dataset(options); }),
                HasSubstr("data.label_column: " + std::to_string(column) + ", but"));
  }
  options.label_column = -1;
  for (const std::string wrong : {"1.5", "-1", "1000001", "1e300"}) {
    write_text(folder / "x.csv", labelled_csv(wrong));
    EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("x.csv: row 3, column 3: "));
  }
  write_text(folder / "x.csv", "1\n2\n");
  EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("two columns or more"));
}

TEST(IoDataset, AFileOfLabels) {
  const TemporaryFolder folder;
  write_npy(folder / "x.npy", at::zeros({3, 2}));
  DataOptions options;
  options.file = folder / "x.npy";
  const uint32_t without = load_dataset(options).crc;
  options.labels = folder / "labels.npy";
  std::vector<uint32_t> crcs{without};
  for (const Tensor& labels : {at::tensor({2, 0, 1}, at::kByte), at::tensor({3.0, 0.0, 1.0}),
                               at::tensor({4, 0, 1}, at::kLong).unsqueeze(1)}) {
    write_npy(folder / "labels.npy", labels);
    const Dataset data = load_dataset(options);
    EXPECT_TRUE(at::equal(data.labels, labels.flatten().to(at::kLong)));
    for (const uint32_t other : crcs) EXPECT_NE(data.crc, other);
    crcs.push_back(data.crc);
  }
  for (const Tensor& wrong : {at::zeros({4}), at::zeros({3, 2}), at::zeros({}), at::tensor({0, -1, 0}),
                              at::tensor({0.0, 0.5, 0.0}), at::zeros({3}, at::kComplexFloat)}) {
    write_npy(folder / "labels.npy", wrong);
    EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("labels.npy: "));
  }
  options.label_column = 0;
  EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("data.label_column: labels is given"));
}

TEST(IoDataset, SamplesTakeAnotherShape) {
  const TemporaryFolder folder;
  write_text(folder / "x.csv", "1,2,3,4,0\n5,6,7,8,1\n");
  DataOptions options;
  options.file = folder / "x.csv";
  options.label_column = -1;
  options.shape = {1, 2, 2};
  const Dataset data = load_dataset(options);
  EXPECT_EQ(data.x.sizes(), (Shape{2, 1, 2, 2}));
  EXPECT_EQ(data.x[1][0][0][1].item<float>(), 6);
  for (const Shape& wrong : {Shape{5}, Shape{2, 1, 2, 2}, Shape{-1, -4}, Shape{0}}) {
    options.shape = wrong;
    EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("data.shape: ("));
  }
  options.shape = {int64_t{1} << 33, int64_t{1} << 33};
  EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr("data.shape: "));
  write_npy(folder / "x.npy", at::zeros({3, 16}, at::kByte));  // pixels get their channel
  DataOptions pixels;
  pixels.file = folder / "x.npy";
  pixels.shape = {4, 4};
  EXPECT_EQ(load_dataset(pixels).x.sizes(), (Shape{3, 1, 4, 4}));
}

TEST(IoDataset, OptionsThatAreNotUsedAreMistakes) {
  const auto expect = [](const DataOptions& options, const std::string& message) {
    EXPECT_THAT(message_of([&] { load_dataset(options); }), HasSubstr(message));
  };
  expect({.kind = DataKind::rings, .file = "x.npy"}, "data.file: is given, but kind = \"rings\"");
  expect({.kind = DataKind::mri, .labels = "x.npy"}, "data.labels: is given");
  expect({.kind = DataKind::digits, .label_column = 1}, "data.label_column: is given");
  expect({.kind = DataKind::faces, .shape = {625}}, "data.shape: is given");
  expect({.kind = DataKind::digits, .size = 16}, "data.size: is given");
  expect({.file = "x.npy", .folder = "y"}, "data.folder: is given");
  expect({.file = "x.npy", .split = DataSplit::test}, "data.split: test, but");
}

TEST(IoDataset, AMissingDataSetNamesItsPackage) {
  for (const auto& [kind, package] : {std::pair{DataKind::fashion_mnist, "dataset-fashion-mnist"},
                                      {DataKind::digits, "python3-sklearn"},
                                      {DataKind::faces, "python3-skimage"},
                                      {DataKind::mri, "mricron-data"},
                                      {DataKind::glyphs, "fonts-dejavu-core"}}) {
    DataOptions options;
    options.kind = kind;
    options.folder = "/no/such/folder";
    EXPECT_THAT(message_of([&] { load_dataset(options); }),
                HasSubstr(std::string("apt-get install ") + package));
  }
}

TEST(IoDataset, FashionMnistIsWhatItsAuthorsPublished) {
  DataOptions options;
  options.kind = DataKind::fashion_mnist;
  if (!std::filesystem::exists("/usr/share/datasets/fashion-mnist"))
    GTEST_SKIP() << "dataset-fashion-mnist is not installed";
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
