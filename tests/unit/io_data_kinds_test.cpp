// Data sets that are known by name. Those of packages that may be missing are made small.

#include "io/npy.h"
#include "support/broken_files.h"
#include "support/nifti_file.h"
#include "support/temporary_folder.h"
#include "tweedie/array_io.h"
#include "tweedie/dataset.h"
#include "tweedie/densities.h"

#include "check_tensor.h"

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

Dataset load(DataOptions options, DataSplit split = DataSplit::train) {
  options.split = split;
  return load_dataset(options);
}

std::string refusal(const DataOptions& options) {
  return message_of([&] { load_dataset(options); });
}

void write_bytes(const std::filesystem::path& path, const Bytes& bytes) {
  write_text(path, std::string(bytes.begin(), bytes.end()));
}

// Rows of b that are in a too
int64_t rows_in_common(const Tensor& a, const Tensor& b) {
  const Tensor equal = a.flatten(1).unsqueeze(1).eq(b.flatten(1).unsqueeze(0)).all(2);
  return equal.any(0).sum().item<int64_t>();
}

TEST(IoDataKinds, DigitsAreWhatTheirAuthorsPublished) {
  const DataOptions options{.kind = DataKind::digits, .folder = TWEEDIE_SOURCE_DIR "/data/digits"};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{1437, 1, 8, 8}));
  EXPECT_EQ(test.x.sizes(), (Shape{360, 1, 8, 8}));
  EXPECT_EQ(train.name, "digits");
  EXPECT_EQ(test.name, "digits-test");
  EXPECT_EQ(train.crc, test.crc);  // of the one file
  // How many of each digit, by the description of the data at UCI
  const Tensor counts = at::cat({train.labels, test.labels}).bincount();
  EXPECT_TRUE(at::equal(counts, at::tensor({178, 182, 177, 183, 181, 182, 181, 179, 174, 180}, at::kLong)));
  EXPECT_EQ(train.x.min().item<float>(), -1);
  EXPECT_EQ(train.x.max().item<float>(), 1);
  EXPECT_EQ(rows_in_common(train.x, test.x), 0);
  // At random: each digit's share of the test is 1 / 5 within 4.5 standard errors of a hypergeometric law.
  const Tensor share = test.labels.bincount({}, 10).to(at::kDouble) / counts;
  EXPECT_LT(max_difference(share, at::full({10}, 0.2)), 4.5 * std::sqrt(0.2 * 0.8 / 174));

  DataOptions scaled = options;
  scaled.low = 0;
  scaled.high = 16;
  EXPECT_LT(max_difference(load(scaled).x, 8 * (train.x + 1)), 1e-5);
}

TEST(IoDataKinds, BadDigitsAreRefused) {
  const TemporaryFolder folder;
  const DataOptions options{.kind = DataKind::digits, .folder = folder.path()};
  const auto write = [&](const std::string& pixel, int pixels, const std::string& label) {
    std::string text;
    for (int i = 0; i < pixels; ++i) text += pixel + ",";
    write_bytes(folder / "digits.csv.gz", gzip(to_bytes(text + label + "\n")));
  };
  write("17", 64, "3");
  EXPECT_THAT(refusal(options), HasSubstr("not in 0 .. 16"));
  write("1", 63, "3");
  EXPECT_THAT(refusal(options), HasSubstr("(N, 65)"));
  write("1", 64, "-3");
  EXPECT_THAT(refusal(options), HasSubstr("row 1, column 65: -3"));
  write("1", 64, "3");
  EXPECT_THAT(refusal(options), HasSubstr("data.split: leaves none"));
}

TEST(IoDataKinds, FacesAreTheFirstHundred) {
  const TemporaryFolder folder;
  const Tensor x = at::linspace(0, 1, 200 * 9, at::kDouble).view({200, 3, 3});
  write_npy(folder / "lfw_subset.npy", x);
  const DataOptions options{.kind = DataKind::faces, .folder = folder.path()};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{80, 1, 3, 3}));
  EXPECT_EQ(test.x.sizes(), (Shape{20, 1, 3, 3}));
  const Tensor all = std::get<0>(at::cat({train.x, test.x}).flatten().sort());
  EXPECT_LT(max_difference(all, 2 * x.slice(0, 0, 100).flatten() - 1), 1e-6);
  write_npy(folder / "lfw_subset.npy", 255 * x);
  EXPECT_THAT(refusal(options), HasSubstr("floats in [0, 1]"));
}

// A volume of 40 slices of width 9 and height 19. Slice z is z + 1 where y >= 10, the front, and -1
// elsewhere.
NiftiFile head() {
  NiftiFile file{.sizes = {9, 19, 40}, .code = 16, .numbers = {}};
  for (int z = 0; z < 40; ++z) {
    for (int y = 0; y < 19; ++y) file.numbers.insert(file.numbers.end(), 9, y >= 10 ? z + 1 : -1);
  }
  return file;
}

TEST(IoDataKinds, SlicesOfAHead) {
  const TemporaryFolder folder;
  write_bytes(folder / "ch2.nii.gz", gzip(head().bytes()));
  const DataOptions options{.kind = DataKind::mri, .folder = folder.path(), .size = 9};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{32, 1, 9, 9}));
  EXPECT_EQ(test.x.sizes(), (Shape{8, 1, 9, 9}));
  // Squares of 2 x 2 give 4 x 9, the width between margins. The front is at the top.
  const Tensor last = (test.x[7][0] + 1) / 2;  // [0, 1]: the maximum is that of slice 40
  Tensor expected = at::zeros({9, 9});
  expected.slice(0, 0, 4).slice(1, 2, 6) = 1;
  expected.slice(0, 4, 5).slice(1, 2, 6) = 0.5;
  EXPECT_LT(max_difference(last, expected), 1e-6);
  // Blocks of 16 and 4 slices
  const Tensor brightest = std::get<0>((test.x.flatten(1) * 20 + 20).max(1));
  EXPECT_LT(max_difference(brightest, at::tensor({17, 18, 19, 20, 37, 38, 39, 40})), 1e-4);
  EXPECT_EQ(rows_in_common(train.x, test.x), 0);

  DataOptions larger{.kind = DataKind::mri, .file = folder / "ch2.nii.gz"};
  EXPECT_EQ(load(larger).x.sizes(), (Shape{32, 1, 64, 64}));
  EXPECT_EQ(load(larger).crc, train.crc);
  larger.size = 16;  // 19 pixels don't fit: more than a ninth would be cut off
  EXPECT_NEAR(load(larger).x.flatten(1).add(1).sign().sum(1)[31].item<double>(), 4 * 5, 0);
  larger.size = 17;
  EXPECT_NEAR(load(larger).x.flatten(1).add(1).sign().sum(1)[31].item<double>(), 9 * 8, 0);
}

TEST(IoDataKinds, BadVolumesAreRefused) {
  const TemporaryFolder folder;
  const DataOptions options{.kind = DataKind::mri, .file = folder / "x.nii"};
  write_bytes(folder / "x.nii", NiftiFile{.numbers = {0, 0, 0, 0, 0, 0, 0, 0}}.bytes());
  EXPECT_THAT(refusal(options), HasSubstr("no number above 0"));
  write_bytes(folder / "x.nii", NiftiFile{.sizes = {2, 4}}.bytes());
  EXPECT_THAT(refusal(options), HasSubstr("shape (4, 2), but a volume"));
  EXPECT_THAT(refusal({.kind = DataKind::mri, .size = 4}), HasSubstr("data.size: 4"));
}

TEST(IoDataKinds, GlyphsOfAFont) {
  const std::filesystem::path dejavu = "/usr/share/fonts/truetype/dejavu";
  if (!std::filesystem::exists(dejavu)) GTEST_SKIP() << "fonts-dejavu-core is not installed";
  DataOptions options{.kind = DataKind::glyphs, .file = dejavu / "DejaVuSans.ttf", .size = 24};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{41, 1, 24, 24}));  // of 52 letters
  EXPECT_EQ(test.x.sizes(), (Shape{11, 1, 24, 24}));
  EXPECT_FALSE(train.labels.defined());
  EXPECT_EQ(rows_in_common(train.x, test.x), 0);
  // Ink in each, little at the edges; the tallest or widest nearly fills the image.
  const Tensor ink = (at::cat({train.x, test.x}).squeeze(1) + 1) / 2;
  EXPECT_GT(ink.flatten(1).sum(1).min().item<double>(), 10);
  const Tensor inside = ink.slice(1, 1, 23).slice(2, 1, 23);
  EXPECT_GT((inside.sum() / ink.sum()).item<double>(), 0.99);
  const Tensor rows = ink.amax({0, 2}).gt(0).sum(), columns = ink.amax({0, 1}).gt(0).sum();
  EXPECT_GE(std::max(rows.item<int64_t>(), columns.item<int64_t>()), 21);

  // A range that the font lacks in part, and twice the same one
  options.characters = {'b', 'b', 0x10FFF0, 0x10FFFF};
  EXPECT_THAT(refusal(options), HasSubstr("data.split: leaves none"));
  options.characters = {'l', 'l', '-', '-'};
  const Tensor l = load(options).x[0][0], dash = load(options, DataSplit::test).x[0][0];
  EXPECT_NE(l.sum(0).gt(-24).sum().item<int64_t>() < 8, dash.sum(0).gt(-24).sum().item<int64_t>() < 8);
}

TEST(IoDataKinds, GlyphsOfManyFontsHaveLabels) {
  const std::filesystem::path dejavu = "/usr/share/fonts/truetype/dejavu";
  if (!std::filesystem::exists(dejavu)) GTEST_SKIP() << "fonts-dejavu-core is not installed";
  const TemporaryFolder folder;
  for (const char* name : {"DejaVuSans.ttf", "DejaVuSerif.ttf"})
    std::filesystem::copy(dejavu / name, folder / name);
  const DataOptions options{.kind = DataKind::glyphs, .folder = folder.path(), .characters = {'0', '9'}};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{16, 1, 32, 32}));
  EXPECT_TRUE(at::cat({train.labels, test.labels}).bincount().eq(2).all().item<bool>());
  // A digit is nearer to itself in the other font than to other digits.
  const Tensor x = at::cat({train.x, test.x}).flatten(1), labels = at::cat({train.labels, test.labels});
  const Tensor distance = (x.unsqueeze(0) - x.unsqueeze(1)).square().sum(2) + 1e9 * at::eye(20);
  const Tensor nearest = labels.index_select(0, distance.argmin(1));
  EXPECT_GE(nearest.eq(labels).sum().item<int64_t>(), 16);
}

TEST(IoDataKinds, BadGlyphsAreRefused) {
  const TemporaryFolder folder;
  write_text(folder / "x.ttf", "no font");
  DataOptions options{.kind = DataKind::glyphs, .file = folder / "x.ttf"};
  EXPECT_THAT(refusal(options), HasSubstr("x.ttf: is no font"));
  options.file = folder / "none.ttf";
  EXPECT_THAT(refusal(options), HasSubstr("none.ttf: no such file"));
  for (const std::vector<int64_t>& wrong :
       {std::vector<int64_t>{}, {65}, {66, 65}, {0, 1}, {1, 0x110000}, {1, 200000}}) {
    options.characters = wrong;
    EXPECT_THAT(refusal(options), HasSubstr("data.characters: "));
  }
}

TEST(IoDataKinds, DensitiesAreDrawn) {
  DataOptions options{.kind = DataKind::two_moons, .count = 20000};
  const Dataset train = load(options), test = load(options, DataSplit::test);
  EXPECT_EQ(train.x.sizes(), (Shape{20000, 2}));
  EXPECT_EQ(train.x.scalar_type(), at::kFloat);
  EXPECT_EQ(train.name, "two-moons");
  EXPECT_EQ(test.name, "two-moons-test");
  EXPECT_EQ(train.low, train.x.min().item<double>());
  EXPECT_TRUE(at::equal(load(options).x, train.x));
  EXPECT_EQ(load(options).crc, train.crc);
  EXPECT_NE(test.crc, train.crc);
  // Independent: correlations of the two splits, and of two seeds, row by row within 4.5 standard errors
  options.seed = 1;
  for (const Tensor& other : {test.x, load(options).x}) {
    const Tensor product = (train.x - train.x.mean(0)) * (other - other.mean(0));
    const Tensor correlation = product.mean(0) / (train.x.std(0) * other.std(0));
    EXPECT_LT(correlation.abs().max().item<double>(), 4.5 / std::sqrt(20000.0));
  }
  // More samples begin with the fewer.
  options.seed = 0;
  options.count = 10;
  EXPECT_TRUE(at::equal(load(options).x, train.x.slice(0, 0, 10)));
  options.count = 0;
  EXPECT_THAT(refusal(options), HasSubstr("data.count: 0"));
  options.count = 1000;
  options.low = -0.1;
  options.high = 9;
  EXPECT_THAT(refusal(options), HasSubstr("data.low: -0.1, but two-moons goes down to"));
}

// Each name draws its own law: the mean log density of one's samples under it is above that under another.
TEST(IoDataKinds, EveryNameIsItsDensity) {
  for (int i = 0; i < 8; ++i) {
    const Dataset data =
        load({.kind = static_cast<DataKind>(static_cast<int>(DataKind::eight_gaussians) + i), .count = 500});
    EXPECT_EQ(data.name, names(Density{})[i]);
    std::vector<double> fit;
    for (int other = 0; other < 8; ++other)
      fit.push_back(log_prob(static_cast<Density>(other), data.x).clamp_min(-50).mean().item<double>());
    EXPECT_EQ(std::max_element(fit.begin(), fit.end()) - fit.begin(), i) << data.name;
  }
}

}  // namespace
}  // namespace tweedie::test
