// What headers of the formats say, beside the numbers, is read and written as their standards have it.
#include "tweedie/file_format.h"

#include "core/shape.h"
#include "io/atomic_file.h"
#include "io/fits.h"
#include "io/raw.h"
#include "io/tiff.h"
#include "tweedie/array_io.h"

#include "check_tensor.h"
#include "support/broken_files.h"
#include "support/format_cases.h"
#include "support/nifti_file.h"
#include "support/temporary_folder.h"

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

TEST(IoNiftiWrite, GeometryAndScalingAreCarriedThrough) {
  NiftiFile file{
      .sizes = {4, 3, 2}, .code = 4, .slope = 0.5, .intercept = -10, .numbers = std::vector<double>(24, 7)};
  file.numbers[5] = -300;
  Bytes bytes = file.bytes();
  const auto put = [&](size_t place, auto value) { std::memcpy(bytes.data() + place, &value, sizeof value); };
  const float sizes[] = {1, 2.0f, 1.5f, 3.0f};
  std::memcpy(bytes.data() + 76, sizes, sizeof sizes);
  put(72, int16_t{16});  // bits of a number
  put(254, int16_t{1});  // sform
  const float rows[] = {-2, 0, 0, 90, 0, 1.5f, 0, -126, 0, 0, 3, -72};
  std::memcpy(bytes.data() + 280, rows, sizeof rows);
  bytes[123] = 2;
  std::memcpy(bytes.data() + 148, "a description", 13);
  const TemporaryFolder folder;
  write_text(folder / "x.nii", std::string(bytes.begin(), bytes.end()));

  const ArrayData data = read_array_data(folder / "x.nii");
  EXPECT_EQ(data.meta.spacing, (std::vector<double>{3, 1.5, 2}));
  EXPECT_EQ(data.meta.spacing_units, "mm");
  EXPECT_EQ(data.meta.orientation, "LAS");
  EXPECT_EQ(data.meta.affine, (std::vector<double>{-2, 0, 0, 90, 0, 1.5, 0, -126, 0, 0, 3, -72}));
  write_like(folder / "again.nii", data.values, data.meta);
  EXPECT_EQ(bytes_at(folder / "again.nii"), bytes);

  // Other numbers on the same grid keep all of the geometry, and lose the scale.
  write_like(folder / "mean.nii", data.values + 0.25, data.meta);
  const ArrayData mean = read_array_data(folder / "mean.nii");
  EXPECT_EQ(mean.meta.affine, data.meta.affine);
  EXPECT_EQ(mean.meta.dtype, "float32");
  EXPECT_EQ(mean.meta.slope, 1);
  EXPECT_TRUE(at::equal(mean.values, data.values + 0.25));
  // Draws are a fourth axis of it; another grid has no geometry of this one.
  write_like(folder / "draws.nii", at::stack({mean.values, data.values}), data.meta);
  EXPECT_EQ(read_array_data(folder / "draws.nii").meta.affine, data.meta.affine);
  write_like(folder / "small.nii", at::zeros({2, 3, 3}), data.meta);
  EXPECT_TRUE(read_array_data(folder / "small.nii").meta.affine.empty());
}

// The quaternion of a turn by 90 degrees about z, with qfac = -1, against the matrix that it stands for
TEST(IoNifti, QuaternionsBecomeAffines) {
  Bytes bytes = NiftiFile().bytes();
  const auto put = [&](size_t place, auto value) { std::memcpy(bytes.data() + place, &value, sizeof value); };
  put(252, int16_t{1});
  const float sizes[] = {-1, 2, 3, 4};
  std::memcpy(bytes.data() + 76, sizes, sizeof sizes);
  put(264, std::sqrt(0.5f));  // d = sin 45
  put(268, 10.0f);
  const TemporaryFolder folder;
  write_text(folder / "q.nii", std::string(bytes.begin(), bytes.end()));
  const ArrayMeta meta = read_array_data(folder / "q.nii").meta;
  const std::vector<double> expected{0, -3, 0, 10, 2, 0, 0, 0, 0, 0, -4, 0};
  ASSERT_EQ(meta.affine.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) EXPECT_NEAR(meta.affine[i], expected[i], 1e-6);
  EXPECT_EQ(meta.orientation, "ALI");
}

TEST(IoNifti, VersionTwo) {
  Bytes bytes(544 + 4 * 6);
  const auto put = [&](size_t place, auto value) { std::memcpy(bytes.data() + place, &value, sizeof value); };
  put(0, int32_t{540});
  std::memcpy(bytes.data() + 4, "n+2\0\r\n\032\n", 8);
  put(12, int16_t{16});
  put(14, int16_t{32});
  const int64_t dims[] = {2, 3, 2, 1, 1, 1, 1, 1};
  std::memcpy(bytes.data() + 16, dims, sizeof dims);
  put(168, int64_t{544});
  for (int i = 0; i < 6; ++i) put(544 + 4 * static_cast<size_t>(i), static_cast<float>(i));
  const TemporaryFolder folder;
  write_text(folder / "x.nii", std::string(bytes.begin(), bytes.end()));
  const ArrayData data = read_array_data(folder / "x.nii");
  EXPECT_TRUE(at::equal(data.values, at::arange(6, at::kFloat).view({2, 3})));
  write_like(folder / "y.nii", data.values, data.meta);
  EXPECT_EQ(bytes_at(folder / "y.nii"), bytes);
}

std::string card(const std::string& text) {
  std::string result = text;
  result.resize(80, ' ');
  return result;
}

std::string block(std::string text) {
  text.resize((text.size() + 2879) / 2880 * 2880, ' ');
  return text;
}

TEST(IoFits, CardsUnitsAndExtensions) {
  std::string numbers("\x00\x01\x00\x02\xff\xff\x00\x04", 8);
  numbers.resize(2880);
  const std::string primary =
      block(card("SIMPLE  =                    T / a file") + card("BITPIX  =                    8") +
            card("NAXIS   =                    0") + card("EXTEND  =                    T") + card("END"));
  const std::string image = block(
      card("XTENSION= 'IMAGE   '") + card("BITPIX  =                   16") +
      card("NAXIS   =                    2") + card("NAXIS1  =                    2") +
      card("NAXIS2  =                    2") + card("PCOUNT  =                    0") +
      card("GCOUNT  =                    1") + card("BSCALE  =               0.5D+0") +
      card("BZERO   =                  10.") + card("BUNIT   = 'adu     '           / it''s counts") +
      card("OBJECT  = 'M''31    '") + card("CRVAL1  =               10.684") +
      card("CDELT1  =                 -0.1") + card("CDELT2  =                  0.1") +
      card("CUNIT1  = 'deg'") + card("CTYPE1  = 'RA---TAN'") + card("HISTORY flat fielded") + card("END"));
  const TemporaryFolder folder;
  write_text(folder / "x.fits", primary + image + numbers);
  const ArrayData data = read_array_data(folder / "x.fits");
  EXPECT_TRUE(at::equal(data.values, at::tensor({10.5f, 11.0f, 9.5f, 12.0f}).view({2, 2})));
  EXPECT_EQ(data.meta.units, "adu");
  EXPECT_EQ(data.meta.spacing, (std::vector<double>{0.1, 0.1}));
  EXPECT_EQ(data.meta.spacing_units, "deg");
  EXPECT_TRUE(at::equal(read_array((folder / "x.fits").string() + "[1]"), data.values));
  expect_error([&] { read_array((folder / "x.fits").string() + "[0]"); }, {"[0]", "holds no image"});
  expect_error([&] { read_array((folder / "x.fits").string() + "[2]"); }, {"no unit 2", "there are 2"});

  write_like(folder / "y.fits", data.values, data.meta);
  const ArrayData again = read_array_data(folder / "y.fits");
  EXPECT_EQ(again.meta.dtype, "int16");
  EXPECT_EQ(again.meta.slope, 0.5);
  EXPECT_TRUE(at::equal(again.values, data.values));
  for (const char* kept : {"CRVAL1  =               10.684", "HISTORY flat fielded", "OBJECT  = 'M''31    '"})
    EXPECT_THAT(read_text(folder / "y.fits"), HasSubstr(kept));
  // On another grid there are no coordinates of this one.
  write_like(folder / "z.fits", at::zeros({3, 3}), data.meta);
  EXPECT_EQ(read_text(folder / "z.fits").find("CRVAL1"), std::string::npos);
  EXPECT_THAT(read_text(folder / "z.fits"), HasSubstr("HISTORY flat fielded"));
}

TEST(IoFits, WhatIsNoImageIsNamed) {
  const auto refusal = [](const std::string& text) {
    return message_of(to_bytes(text), [](ByteView bytes) { parse_fits(bytes, {}, "x.fits"); });
  };
  const std::string head = card("SIMPLE  =                    T") + card("BITPIX  =                   16");
  EXPECT_THAT(refusal(head), HasSubstr("no END"));
  EXPECT_THAT(refusal(block(head + card("NAXIS   =                    1") + card("NAXIS1  =       99999999") +
                            card("END"))),
              HasSubstr("truncated"));
  EXPECT_THAT(refusal(block(head + card("NAXIS   =                   -1") + card("END"))),
              HasSubstr("NAXIS = -1"));
  EXPECT_THAT(refusal(block(head + card("NAXIS   =                  1.5") + card("END"))),
              HasSubstr("whole number"));
  EXPECT_THAT(refusal(block(head + card("NAXIS   =                    0") + card("END"))),
              HasSubstr("holds no image"));
  std::string blank =
      block(head + card("NAXIS   =                    1") + card("NAXIS1  =                    2") +
            card("BLANK   =                   -1") + card("END")) +
      std::string("\xff\xff\0\1", 4);
  EXPECT_THAT(refusal(blank), HasSubstr("1 pixels are blank"));
}

TEST(IoTiff, ResolutionAndDescriptionAreCarriedThrough) {
  ArrayMeta meta;
  meta.format = FileFormat::tiff;
  meta.dtype = "uint8";
  meta.white = 255;
  meta.header = "100 50 3 1\nImageJ=1.53\nunit=um\n";  // 100 x 50 pixels per cm
  const Tensor x = whole_numbers({1, 6, 5}, 0, 255);
  const ArrayData data = parse_tiff(encode_tiff(x, meta, "x.tif"), "x.tif");
  EXPECT_EQ(data.meta.header, meta.header);
  EXPECT_EQ(data.meta.spacing, (std::vector<double>{0.2, 0.1}));
  EXPECT_THAT(message_of(to_bytes("II*\0 nonsense that goes on"), [](ByteView b) { parse_tiff(b, "x.tif"); }),
              HasSubstr("x.tif"));
}

TEST(IoRaw, EitherOrderOfAxesAndBytes) {
  const TemporaryFolder folder;
  const std::string numbers("\0\1\0\2\0\3\0\4\0\5\0\6", 12);
  write_text(folder / "x.raw", "##" + numbers);
  const std::string rest = "dtype = \"uint16\"\nshape = [2, 3]\noffset = 2\n";
  write_text(folder / "x.raw.toml",
             rest + "endianness = \"big\"\nunits = \"HU\"\nspacing = [2, 0.5]\nslope = 2\n");
  const ArrayData data = read_array_data(folder / "x.raw");
  EXPECT_TRUE(at::equal(data.values, 2 * at::arange(1, 7, at::kFloat).view({2, 3})));
  EXPECT_EQ(data.meta.units, "HU");
  EXPECT_EQ(data.meta.spacing, (std::vector<double>{2, 0.5}));
  write_text(folder / "x.raw.toml", rest + "endianness = \"big\"\norder = \"F\"\n");
  EXPECT_TRUE(
      at::equal(read_array(folder / "x.raw").to(at::kFloat), at::arange(1, 7, at::kFloat).view({3, 2}).t()));
  const auto refusal = [&](const std::string& sidecar) {
    write_text(folder / "x.raw.toml", sidecar);
    return message_of([&] { read_array(folder / "x.raw"); });
  };
  EXPECT_THAT(refusal("dtype = \"uint16\"\nshape = [2, 4]\n"), HasSubstr("14 bytes"));
  EXPECT_THAT(refusal("dtype = \"uint61\"\nshape = [2, 3]\n"), HasSubstr("uint16"));
  EXPECT_THAT(refusal("dtype = \"uint16\"\nshape = [2, -3]\n"), HasSubstr("shape"));
  EXPECT_THAT(refusal("dtype = \"uint16\"\nshap = [2, 3]\n"), HasSubstr("did you mean 'shape'"));
  EXPECT_THAT(refusal("dtype = \"uint16\"\nshape = [2, 3]\noffset = 2\nslope = 0\n"), HasSubstr("slope 0"));
}

TEST(IoCfl, DimensionsOfTheFileComeBack) {
  const TemporaryFolder folder;
  const Tensor x = at::complex(normal({3, 4, 2}, 1, at::kFloat), normal({3, 4, 2}, 2, at::kFloat));
  write_text(folder / "k.hdr", "# Dimensions\n2 4 1 3 1 1\n# Command\nphantom -k k\n");
  write_text(folder / "k.cfl", std::string(static_cast<const char*>(x.data_ptr()), x.nbytes()));
  for (const char* name : {"k.cfl", "k.hdr", "k"}) {
    const ArrayData data = read_array_data(folder / name);
    EXPECT_TRUE(at::equal(data.values, x)) << name;
  }
  write_like(folder / "again.cfl", x * 2, read_array_data(folder / "k").meta);
  EXPECT_THAT(read_text(folder / "again.hdr"), HasSubstr("# Dimensions\n2 4 1 3 1 1 1"));
  EXPECT_TRUE(at::equal(read_array(folder / "again"), x * 2));
  write_like(folder / "other.cfl", at::ones({5, 6}), read_array_data(folder / "k").meta);
  EXPECT_THAT(read_text(folder / "other.hdr"), HasSubstr("# Dimensions\n6 5 1"));
  for (const char* bad :
       {"", "# Dimensions", "# Dimensions\n", "# Dimensions\n2 4 x\n", "# Dimensions\n2 4 0 3\n",
        "# Dimensions\n2 4 1 4\n", "# Dimensions\n9999999999 9999999999 9999999999\n"}) {
    write_text(folder / "k.hdr", bad);
    EXPECT_NE(message_of([&] { read_array(folder / "k.cfl"); }), "") << bad;
  }
}

}  // namespace
}  // namespace tweedie::test
