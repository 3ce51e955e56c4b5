#include "io/npy.h"
#include "io/npz.h"
#include "tweedie/array_io.h"

#include "support/broken_files.h"
#include "support/temporary_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <zip.h>

#include <limits>

namespace tweedie::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Parse parse = [](ByteView bytes) { parse_npy(bytes, "x.npy"); };

// A file as NumPy would write it, with whatever header.
Bytes npy(const std::string& header, const std::string& data, char version = 1) {
  std::string text = "\x93NUMPY";
  text += version;
  text += '\0';
  for (int i = 0; i < (version == 1 ? 2 : 4); ++i) text += static_cast<char>(header.size() >> 8 * i);
  return to_bytes(text + header + data);
}

std::string dict(const std::string& type, const std::string& shape, bool fortran = false) {
  return "{'descr': '" + type + "', 'fortran_order': " + (fortran ? "True" : "False") +
         ", 'shape': " + shape + ", }\n";
}

Tensor read(const Bytes& bytes) {
  return parse_npy(bytes, "x.npy");
}

void expect_same(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.scalar_type(), b.scalar_type());
  ASSERT_EQ(a.sizes(), b.sizes());
  EXPECT_TRUE(at::equal(a, b));
}

TEST(IoNpy, EveryTypeAndRankComesBack) {
  for (const at::ScalarType type : {at::kFloat, at::kDouble, at::kChar, at::kShort, at::kInt, at::kLong,
                                    at::kByte, at::kBool, at::kComplexFloat, at::kComplexDouble}) {
    for (const Shape& shape : {Shape{}, Shape{7}, Shape{2, 3}, Shape{2, 3, 4}, Shape{0}, Shape{3, 0, 2}}) {
      Tensor x = at::arange(24, at::kDouble).slice(0, 0, c10::multiply_integers(shape)).reshape(shape).sub(3);
      if (type == at::kByte) x = x.abs();
      x = type == at::kBool ? x.gt(2) : x.to(type);
      if (x.is_complex()) x = x * c10::complex<double>(0.5, -2);
      expect_same(read(encode_npy(x)), x);
    }
  }
}

TEST(IoNpy, BytesAreNumPys) {
  const Bytes bytes = encode_npy(at::tensor({1.0f, -2.0f}).reshape({2, 1}));
  std::string header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 1), }";
  header.resize(128 - 10 - 1, ' ');
  const std::string data("\0\0\x80\x3f\0\0\0\xc0", 8);
  EXPECT_EQ(bytes, npy(header + '\n', data));
  EXPECT_EQ((bytes.size() - 8) % 64, 0u);
}

TEST(IoNpy, ViewsAreWrittenAsTheyLook) {
  const Tensor x = at::arange(6, at::kDouble).reshape({2, 3});
  expect_same(read(encode_npy(x.t())), x.t().contiguous());
  const Tensor z = at::complex(x, x + 1).conj();
  expect_same(read(encode_npy(z)), z.resolve_conj());
}

TEST(IoNpy, BothByteOrders) {
  expect_same(read(npy(dict("<i2", "(2,)"), std::string("\1\0\0\1", 4))), at::tensor({1, 256}, at::kShort));
  expect_same(read(npy(dict(">i2", "(2,)"), std::string("\1\0\0\1", 4))), at::tensor({256, 1}, at::kShort));
  expect_same(read(npy(dict(">f4", "(1,)"), std::string("\x3f\x80\0\0", 4))), at::tensor({1.0f}));
  expect_same(read(npy(dict(">f8", "()"), std::string("\xc0\0\0\0\0\0\0\0", 8))),
              at::scalar_tensor(-2.0, at::kDouble));
  // Each part of a complex number is turned by itself.
  const Tensor z = read(npy(dict(">c8", "(1,)"), std::string("\x3f\x80\0\0\xc0\0\0\0", 8)));
  expect_same(at::view_as_real(z), at::tensor({1.0f, -2.0f}).reshape({1, 2}));
}

TEST(IoNpy, UnsignedTypesWiden) {
  expect_same(read(npy(dict("<u2", "(2,)"), "\xff\xff\x01\x80")), at::tensor({65535, 32769}, at::kInt));
  expect_same(read(npy(dict(">u4", "(1,)"), "\xff\xff\xff\xfe")), at::tensor({4294967294}, at::kLong));
  expect_same(read(npy(dict("|u1", "(2,)"), "\xff\x01")), at::tensor({255, 1}, at::kByte));
  expect_same(read(npy(dict("|b1", "(2,)"), std::string("\1\0", 2))), at::tensor({1, 0}).to(at::kBool));
}

TEST(IoNpy, FortranOrder) {
  expect_same(read(npy(dict("|i1", "(2, 3)", true), "\1\2\3\4\5\6")),
              at::tensor({1, 3, 5, 2, 4, 6}, at::kChar).reshape({2, 3}));
  const Tensor x = read(npy(dict("|u1", "(1, 2, 3)", true), "\1\2\3\4\5\6"));
  expect_same(x, at::tensor({1, 3, 5, 2, 4, 6}, at::kByte).reshape({1, 2, 3}));
  EXPECT_TRUE(x.is_contiguous());
}

TEST(IoNpy, AllVersionsAndSpellingsOfTheHeader) {
  for (const char version : {1, 2, 3})
    expect_same(read(npy(dict("|u1", "(1,)"), "a", version)), at::tensor({97}, at::kByte));
  expect_same(read(npy("{\"shape\":(1),'fortran_order':False,'descr':\"|u1\"}", "a")),
              at::tensor({97}, at::kByte));
}

TEST(IoNpy, EveryTruncationIsRefused) {
  const Bytes bytes = encode_npy(at::tensor({1.0f, 2.0f, 3.0f}));
  expect_every_truncation_refused(bytes, parse);
  EXPECT_EQ(message_of({bytes.begin(), bytes.end() - 1}, parse),
            "x.npy: truncated: 11 bytes of data, but shape (3,) of <f4 takes 12");
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(message_of(longer, parse), HasSubstr("trailing bytes"));
}

TEST(IoNpy, FlippedBitsNeverCrash) {
  unnoticed_flips(encode_npy(at::tensor({1.0f, 2.0f})), parse);
  unnoticed_flips(npy(dict(">c8", "(1, 1)", true), "12345678", 2), parse);
}

TEST(IoNpy, MalformedHeadersSayWhy) {
  const auto message = [](const std::string& header, const std::string& data = "") {
    return message_of(npy(header, data), parse);
  };
  EXPECT_THAT(message_of(to_bytes("NUMPY and more"), parse), HasSubstr("is no NPY file"));
  EXPECT_THAT(message_of(npy(dict("|u1", "(1,)"), "a", 4), parse), HasSubstr("version 4.0"));
  EXPECT_THAT(message(dict("<f2", "(1,)"), "ab"), HasSubstr("dtype '<f2'"));
  EXPECT_THAT(message(dict("|O", "(1,)"), "ab"), HasSubstr("dtype '|O'"));
  EXPECT_THAT(message(dict("|f4", "(1,)"), "abcd"), HasSubstr("dtype"));
  EXPECT_THAT(message(dict("", "(1,)"), "abcd"), HasSubstr("dtype"));
  EXPECT_THAT(message("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1,), }"),
              HasSubstr("structured"));
  EXPECT_THAT(message(dict("|u1", "(4294967296, 4294967296)")), HasSubstr("larger than any memory"));
  EXPECT_THAT(message(dict("<f8", "(1152921504606846976,)")), HasSubstr("larger than any memory"));
  EXPECT_THAT(message(dict("|u1", "(99999999999999999999,)")), HasSubstr("a size is not"));
  EXPECT_THAT(message(dict("|u1", "(0, 4294967296, 4294967296)")), HasSubstr("larger than any memory"));
  EXPECT_THAT(message(dict("|u1", "(-1,)")), HasSubstr("a size is not"));
  EXPECT_THAT(message(dict("|u1", "(1 2)")), HasSubstr("comma"));
  EXPECT_THAT(message(dict("|u1", "[1]")), HasSubstr("'('"));
  EXPECT_THAT(message("{'descr': '|u1', 'fortran_order': Maybe, 'shape': (1,)}"), HasSubstr("True or False"));
  EXPECT_THAT(message("{'descr': '|u1', 'shape': (1,)}", "a"), HasSubstr("needed"));
  EXPECT_THAT(message("{'descr': '|u1', 'descr': '|u1'}", "a"), HasSubstr("repeated"));
  EXPECT_THAT(message("{'other': 1}"), HasSubstr("'other'"));
  EXPECT_THAT(message("[]"), HasSubstr("'{'"));
  EXPECT_THAT(message(dict("|u1", "(1,)") + "more", "a"), HasSubstr("follows"));
  EXPECT_THAT(message(dict("|u1", "(1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1)")),
              HasSubstr("32 axes"));
}

TEST(IoNpy, UnknownTypesAreNotWritten) {
  EXPECT_THROW(encode_npy(at::ones({1}, at::kBFloat16)), Error);
}

TEST(IoArray, WriteAndReadBack) {
  const TemporaryFolder folder;
  const Tensor x = at::arange(6, at::kDouble).reshape({2, 3});
  write_npy(folder / "x.npy", x);
  expect_same(read_array(folder / "x.npy"), x);
  EXPECT_THAT(folder.names(), ElementsAre("x.npy"));
  EXPECT_THROW(write_npy(folder / "no/x.npy", x), Error);
}

TEST(IoArray, NanAndInfinityAreRefusedAtTheDoor) {
  const TemporaryFolder folder;
  for (const double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    write_npy(folder / "x.npy", at::tensor({1.0, bad}));
    EXPECT_THAT(message_of([&] { read_array(folder / "x.npy"); }), HasSubstr("x.npy: 1 of 2 values"));
  }
}

Bytes npz(const std::vector<std::pair<std::string, Tensor>>& arrays) {
  const TemporaryFolder folder;
  std::vector<Bytes> contents;
  for (const auto& [name, tensor] : arrays) contents.push_back(encode_npy(tensor));
  zip_t* archive = zip_open((folder / "a.npz").c_str(), ZIP_CREATE, nullptr);
  for (size_t i = 0; i < arrays.size(); ++i) {
    zip_source_t* source = zip_source_buffer(archive, contents[i].data(), contents[i].size(), 0);
    zip_file_add(archive, (arrays[i].first + ".npy").c_str(), source, 0);
  }
  EXPECT_EQ(zip_close(archive), 0);
  return read_bytes(folder / "a.npz");
}

TEST(IoNpz, ArraysByKey) {
  const Tensor x = at::arange(1000, at::kDouble), y = at::ones({2, 2});
  const Bytes both = npz({{"x", x}, {"y", y}});
  expect_same(parse_npz(both, "x", "a.npz"), x);
  expect_same(parse_npz(both, "y.npy", "a.npz"), y);
  expect_same(parse_npz(npz({{"y", y}}), "", "a.npz"), y);
  EXPECT_THAT(message_of([&] { parse_npz(both, "", "a.npz"); }), HasSubstr("keys x, y"));
  EXPECT_THAT(message_of([&] { parse_npz(both, "z", "a.npz"); }), HasSubstr("no array 'z'"));

  const TemporaryFolder folder;
  write_text(folder / "a.npz", std::string(both.begin(), both.end()));
  expect_same(read_array((folder / "a.npz").string() + ":x"), x);
  EXPECT_THROW(read_array(folder / "a.npz"), Error);
  EXPECT_THAT(message_of([&] { read_array((folder / "b.npz").string() + ":x"); }),
              HasSubstr("b.npz: no such file"));
}

TEST(IoNpz, DamageIsRefused) {
  const Bytes bytes = npz({{"x", at::arange(4)}});
  expect_every_truncation_refused(bytes, [](ByteView b) { parse_npz(b, "", "a.npz"); });
  unnoticed_flips(bytes, [](ByteView b) { parse_npz(b, "", "a.npz"); });
  EXPECT_THAT(message_of([&] { parse_npz(bytes, "", "a.npz", 10); }), HasSubstr("more than 10 bytes"));
  EXPECT_THAT(message_of(to_bytes("PK\3\4 and no more"), [](ByteView b) { parse_npz(b, "", "a.npz"); }),
              HasSubstr("a.npz: "));
}

}  // namespace
}  // namespace tweedie::test
