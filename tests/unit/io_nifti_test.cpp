#include "io/nifti.h"

#include "support/broken_files.h"
#include "support/nifti_file.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

Tensor parse(ByteView bytes) {
  return parse_nifti(bytes, "x.nii");
}

std::string refusal(const NiftiFile& file) {
  return message_of(file.bytes(), parse);
}

TEST(IoNifti, EveryTypeInEitherByteOrder) {
  const Tensor expected = at::arange(8, at::kFloat).view({2, 2, 2});
  for (const bool big_endian : {false, true}) {
    for (const int16_t code : {2, 4, 16}) {
      const NiftiFile file{.big_endian = big_endian, .code = code};
      EXPECT_TRUE(at::equal(parse(file.bytes()), expected)) << code;
      EXPECT_TRUE(at::equal(parse(gzip(file.bytes())), expected)) << code;
    }
  }
  const NiftiFile negative{.sizes = {3}, .code = 4, .numbers = {-32768, -1, 32767}};
  EXPECT_TRUE(at::equal(parse(negative.bytes()), at::tensor({-32768.0f, -1.0f, 32767.0f})));
}

TEST(IoNifti, AxesAreReversedAndNumbersScaled) {
  const NiftiFile file{.sizes = {3, 2, 1, 1}, .slope = 2, .intercept = -1, .numbers = {0, 1, 2, 3, 4, 5}};
  const Tensor x = parse(file.bytes());
  EXPECT_EQ(x.sizes(), at::IntArrayRef({1, 1, 2, 3}));
  EXPECT_EQ(x[0][0][1][0].item<float>(), 2 * 3 - 1);
  // Without a slope the intercept is not used either.
  const NiftiFile plain{.sizes = {2}, .intercept = 5, .numbers = {1, 2}};
  EXPECT_TRUE(at::equal(parse(plain.bytes()), at::tensor({1.0f, 2.0f})));
}

TEST(IoNifti, BadHeadersAreNamed) {
  EXPECT_THAT(refusal({.sizes = {2, 0, 2}}), HasSubstr("axis 2 has size 0"));
  EXPECT_THAT(refusal({.sizes = {2, 2, -2}}), HasSubstr("axis 3 has size -2"));
  EXPECT_THAT(refusal({.sizes = {}}), HasSubstr("0 axes"));
  EXPECT_THAT(refusal({.sizes = {1, 1, 1, 1, 1, 1, 1, 1}}), HasSubstr("8 axes"));
  EXPECT_THAT(refusal({.code = 128}), HasSubstr("NIfTI type 128"));
  EXPECT_THAT(refusal({.sizes = {2, 2, 3}}), HasSubstr("truncated: 8 bytes of data, but shape (3, 2, 2)"));
  EXPECT_THAT(refusal({.sizes = {2, 2, 1}}), HasSubstr("has trailing bytes"));
  EXPECT_THAT(refusal({.sizes = {32767, 32767, 32767, 32767, 32767}}), HasSubstr("larger than any memory"));
  for (const float start : {-1.0f, 347.0f, 352.5f, 1e30f, std::numeric_limits<float>::quiet_NaN()})
    EXPECT_THAT(refusal({.start = start}), HasSubstr("the numbers begin at"));
  EXPECT_THAT(refusal({.slope = std::numeric_limits<float>::infinity()}), HasSubstr("slope inf"));
  EXPECT_THAT(refusal({.code = 16, .slope = 3e38f}), HasSubstr("x.nii: "));  // overflows
  EXPECT_THAT(message_of(gzip(gzip(NiftiFile().bytes())), parse), HasSubstr("in gzip twice"));
  EXPECT_THAT(message_of(Bytes(400), parse), HasSubstr("is no NIfTI-1 file"));
}

TEST(IoNifti, BrokenFilesAreRefused) {
  const Bytes bytes = NiftiFile{.code = 4}.bytes();
  expect_every_truncation_refused(bytes, parse);
  unnoticed_flips(bytes, parse);  // throws nothing but Error
}

}  // namespace
}  // namespace tweedie::test
