#include "io/idx.h"

#include "support/broken_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

const Parse parse = [](ByteView bytes) { parse_idx(bytes, "x.idx"); };

TEST(IoIdx, KnownBytes) {
  const Tensor bytes = parse_idx(Bytes{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 255}, "x");
  EXPECT_TRUE(at::equal(bytes, at::tensor({1, 2, 3, 4, 5, 255}, at::kByte).reshape({2, 3})));
  EXPECT_TRUE(at::equal(parse_idx(Bytes{0, 0, 9, 1, 0, 0, 0, 1, 255}, "x"), at::tensor({-1}, at::kChar)));
  EXPECT_TRUE(at::equal(parse_idx(Bytes{0, 0, 11, 1, 0, 0, 0, 1, 1, 2}, "x"), at::tensor({258}, at::kShort)));
  EXPECT_TRUE(
      at::equal(parse_idx(Bytes{0, 0, 12, 1, 0, 0, 0, 1, 0, 0, 1, 2}, "x"), at::tensor({258}, at::kInt)));
  EXPECT_TRUE(at::equal(parse_idx(Bytes{0, 0, 13, 1, 0, 0, 0, 1, 0xc0, 0, 0, 0}, "x"), at::tensor({-2.0f})));
  EXPECT_TRUE(at::equal(parse_idx(Bytes{0, 0, 14, 1, 0, 0, 0, 1, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0}, "x"),
                        at::tensor({1.0})));
  EXPECT_EQ(parse_idx(Bytes{0, 0, 8, 1, 0, 0, 0, 0}, "x").numel(), 0);
}

TEST(IoIdx, GzipOrNot) {
  const Bytes plain_file{0, 0, 8, 1, 0, 0, 0, 3, 7, 8, 9};
  EXPECT_TRUE(at::equal(parse_idx(gzip(plain_file), "x"), parse_idx(plain_file, "x")));
  EXPECT_THAT(message_of(gzip(gzip(plain_file)), parse), HasSubstr("twice"));
}

TEST(IoIdx, DamageIsRefused) {
  const Bytes file{0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 2, 7, 8, 9, 10};
  expect_every_truncation_refused(file, parse);
  expect_every_truncation_refused(gzip(file), parse);
  unnoticed_flips(file, parse);
  unnoticed_flips(gzip(file), parse);
  EXPECT_EQ(message_of(Bytes{0, 0, 8, 1, 0, 0, 0, 3, 1}, parse),
            "x.idx: truncated: 1 byte of data, but shape (3,) takes 3");
  EXPECT_THAT(message_of(Bytes{0, 0, 8, 1, 0, 0, 0, 0, 1}, parse), HasSubstr("trailing"));
  EXPECT_THAT(message_of(Bytes{0, 0, 10, 1, 0, 0, 0, 0}, parse), HasSubstr("type 0x0a"));
  EXPECT_THAT(message_of(Bytes{1, 0, 8, 1, 0, 0, 0, 0}, parse), HasSubstr("no IDX file"));
  EXPECT_THAT(message_of(Bytes{0, 0, 8, 2, 255, 255, 255, 255, 255, 255, 255, 255}, parse),
              HasSubstr("larger than any memory"));
}

}  // namespace
}  // namespace tweedie::test
