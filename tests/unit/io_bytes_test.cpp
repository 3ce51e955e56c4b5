#include "io/bytes.h"

#include "support/broken_files.h"
#include "support/temporary_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace tweedie::test {
namespace {

using ::testing::HasSubstr;

TEST(IoBytes, ReadsAWholeFile) {
  const TemporaryFolder folder;
  write_text(folder / "a", std::string("one\0two", 7));
  EXPECT_EQ(read_bytes(folder / "a"), to_bytes(std::string("one\0two", 7)));
  write_text(folder / "empty", "");
  EXPECT_TRUE(read_bytes(folder / "empty").empty());
}

TEST(IoBytes, NamesWhatCantBeRead) {
  const TemporaryFolder folder;
  EXPECT_EQ(message_of([&] { read_bytes(folder / "a"); }), (folder / "a").string() + ": no such file");
  EXPECT_THAT(message_of([&] { read_bytes(folder.path()); }), HasSubstr("is a folder"));
  EXPECT_THAT(message_of([&] { read_bytes("/dev/zero"); }), HasSubstr("not a regular file"));
}

TEST(IoBytes, GunzipGivesBackWhatWasPacked) {
  Bytes original(100'000);
  for (size_t i = 0; i < original.size(); ++i) original[i] = static_cast<uint8_t>(i * i >> 3);
  EXPECT_EQ(gunzip(gzip(original), "x"), original);
  EXPECT_EQ(gunzip(gzip({}), "x"), Bytes{});
  EXPECT_EQ(gunzip(gzip(Bytes(3'000'000, 7)), "x"), Bytes(3'000'000, 7));
}

TEST(IoBytes, GunzipReadsSeveralMembers) {
  Bytes both = gzip(to_bytes("one "));
  const Bytes second = gzip(to_bytes("two"));
  both.insert(both.end(), second.begin(), second.end());
  EXPECT_EQ(gunzip(both, "x"), to_bytes("one two"));
}

TEST(IoBytes, GunzipRefusesBrokenAndHugeData) {
  const Bytes packed = gzip(to_bytes("some text that is packed, text that is packed"));
  expect_every_truncation_refused(packed, [](ByteView bytes) { gunzip(bytes, "x"); });
  EXPECT_THAT(message_of({packed.begin(), packed.end() - 3}, [](ByteView b) { gunzip(b, "x.gz"); }),
              HasSubstr("x.gz: truncated"));
  Bytes damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // in the CRC
  EXPECT_THAT(message_of(damaged, [](ByteView b) { gunzip(b, "x"); }), HasSubstr("corrupt"));
  damaged = packed;
  damaged.push_back('!');
  EXPECT_NE(message_of(damaged, [](ByteView b) { gunzip(b, "x"); }), "");

  const Bytes bomb = gzip(Bytes(5'000'000, 0));
  EXPECT_EQ(gunzip(bomb, "x", 5'000'000).size(), 5'000'000u);
  try {
    gunzip(bomb, "x", 4'999'999);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::resources);
  }
}

TEST(IoBytes, CrcIsThatOfTheCheckString) {
  EXPECT_EQ(crc32_of(to_bytes("123456789")), 0xcbf43926u);
}

TEST(IoBytes, SizesThatOverflowAreRefused) {
  EXPECT_EQ(bytes_of({3, 4}, 8, "x"), 96u);
  EXPECT_EQ(bytes_of({}, 8, "x"), 8u);
  EXPECT_EQ(bytes_of({3, 0}, 8, "x"), 0u);
  EXPECT_THROW(bytes_of({int64_t{1} << 62, 4}, 1, "x"), Error);
  EXPECT_THROW(bytes_of({0, int64_t{1} << 62, 4}, 1, "x"), Error);
  EXPECT_THROW(bytes_of({-1}, 1, "x"), Error);
}

}  // namespace
}  // namespace tweedie::test
