#include "io/safetensors.h"

#include "support/broken_files.h"
#include "support/temporary_folder.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

#include <limits>

namespace tweedie::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pair;

SafeTensors parse(ByteView bytes) {
  return parse_safetensors(bytes, "m");
}

Bytes file(const std::string& header, const std::string& data, std::optional<uint64_t> length = {}) {
  Bytes result;
  for (int i = 0; i < 8; ++i) result.push_back(static_cast<uint8_t>(length.value_or(header.size()) >> 8 * i));
  result.insert(result.end(), header.begin(), header.end());
  result.insert(result.end(), data.begin(), data.end());
  return result;
}

std::string message(const std::string& header, const std::string& data) {
  return message_of(file(header, data), parse);
}

SafeTensors example() {
  SafeTensors content;
  content.tensors["layer.weight"] = at::tensor({1.5f, -2.0f, 0.25f, 4.0f}).reshape({2, 2});
  content.tensors["step"] = at::scalar_tensor(7, at::kLong);
  content.tensors["flags"] = at::tensor({1, 0, 1}).to(at::kBool);
  content.metadata = {{"name", "a \"model\" \n of ours"}, {"empty", ""}};
  return content;
}

TEST(IoSafetensors, EveryTypeComesBack) {
  SafeTensors content;
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16, at::kLong, at::kInt,
                                    at::kShort, at::kChar, at::kByte, at::kBool}) {
    for (const Shape& shape : {Shape{}, Shape{3}, Shape{2, 0}, Shape{2, 3}}) {
      const Tensor x = at::arange(6).slice(0, 0, c10::multiply_integers(shape)).reshape(shape).to(type);
      content.tensors[std::string(toString(type)) + std::to_string(content.tensors.size())] = x;
    }
  }
  content.metadata = example().metadata;
  const SafeTensors back = parse(serialize_safetensors(content));
  EXPECT_EQ(back.metadata, content.metadata);
  ASSERT_EQ(back.tensors.size(), content.tensors.size());
  for (const auto& [name, x] : content.tensors) {
    const Tensor y = back.tensors.at(name);
    EXPECT_EQ(y.scalar_type(), x.scalar_type()) << name;
    EXPECT_EQ(y.sizes(), x.sizes()) << name;
    EXPECT_TRUE(at::equal(y, x)) << name;
  }
}

TEST(IoSafetensors, ReadsFilesOfOthers) {
  const SafeTensors content =
      parse(file(R"({"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},)"
                 R"("a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"__metadata__":{"k":"v"}}   )",
                 std::string("\0\0\x80\x3f\x05\x06", 6)));
  EXPECT_EQ(content.tensors.at("a").item<float>(), 1.0f);
  EXPECT_TRUE(at::equal(content.tensors.at("b"), at::tensor({5, 6}, at::kByte)));
  EXPECT_THAT(content.metadata, ElementsAre(Pair("k", "v")));
}

TEST(IoSafetensors, LayoutIsTheFormats) {
  const Bytes bytes = serialize_safetensors(example());
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i) length = length << 8 | bytes[i];
  EXPECT_EQ(length % 8, 0u);
  EXPECT_EQ(bytes.size(), 8 + length + 8 + 16 + 3);
  EXPECT_EQ(bytes[8], '{');
  const std::string header(bytes.begin() + 8, bytes.begin() + 8 + length);
  EXPECT_THAT(header, HasSubstr(R"("step":{"data_offsets":[0,8],"dtype":"I64","shape":[]})"));
  EXPECT_THAT(header, HasSubstr(R"("layer.weight":{"data_offsets":[8,24],"dtype":"F32","shape":[2,2]})"));
  EXPECT_THAT(header, HasSubstr(R"("flags":{"data_offsets":[24,27],"dtype":"BOOL","shape":[3]})"));
}

TEST(IoSafetensors, EveryTruncationAndEveryFlippedBitIsNoticed) {
  const Bytes bytes = serialize_safetensors(example());
  expect_every_truncation_refused(bytes, [](ByteView b) { parse_safetensors(b, "m", true); });
  expect_every_truncation_refused(bytes, parse);
  EXPECT_EQ(unnoticed_flips(bytes, [](ByteView b) { parse_safetensors(b, "m", true); }), 0);
  // Where no checksum is asked for, only those in its own name can hide it.
  EXPECT_LE(unnoticed_flips(bytes, parse), 8 * 13);
  Bytes longer = bytes;
  longer.push_back(0);
  EXPECT_THAT(message_of(longer, parse), HasSubstr("trailing"));
}

TEST(IoSafetensors, TheChecksumCanBeRequired) {
  const Bytes bare = file(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})", "x");
  EXPECT_NO_THROW(parse_safetensors(bare, "m"));
  EXPECT_THAT(message_of([&] { parse_safetensors(bare, "m", true); }), HasSubstr("no checksum"));
  Bytes changed = serialize_safetensors(example());
  changed.back() ^= 1;
  EXPECT_EQ(message_of(changed, parse), "m: its checksum is wrong: the file was damaged or changed");
}

TEST(IoSafetensors, MalformedHeadersSayWhy) {
  EXPECT_THAT(message_of(file("{}", "", uint64_t{1} << 63), parse), HasSubstr("is no safetensors file"));
  EXPECT_THAT(message_of(file("{}", "", 1000), parse),
              HasSubstr("truncated: 10 bytes, but the header alone takes 1008"));
  EXPECT_THAT(message("[]", ""), HasSubstr("a JSON object is meant"));
  EXPECT_THAT(message("{", ""), HasSubstr("no JSON"));
  EXPECT_THAT(message("{\"\xff\":1}", ""), HasSubstr("no JSON"));
  EXPECT_THAT(message(R"({"a":1})", ""), HasSubstr("m:a: a JSON object"));
  EXPECT_THAT(message(R"({"a":{"dtype":"F8","shape":[1],"data_offsets":[0,1]}})", "x"),
              HasSubstr(R"(dtype "F8")"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[2],"data_offsets":[0,1]}})", "x"),
              HasSubstr("takes 2 bytes"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[-1],"data_offsets":[0,1]}})", "x"),
              HasSubstr("shape is no list"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[1.0],"data_offsets":[0,1]}})", "x"),
              HasSubstr("shape is no list"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,0]}})", "x"),
              HasSubstr("data_offsets 1 to 0"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0]}})", "x"), HasSubstr("no pair"));
  EXPECT_THAT(message(R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})", "xy"), HasSubstr("holes"));
  EXPECT_THAT(
      message(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"b":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "x"),
      HasSubstr("overlaps"));
  EXPECT_THAT(
      message(
          R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}})",
          "x"),
      HasSubstr("'a' is there twice"));
  EXPECT_THAT(message(R"({"a":{"dtype":"F64","shape":[4611686018427387904,4],"data_offsets":[0,1]}})", "x"),
              HasSubstr("larger than any memory"));
  EXPECT_THAT(message(R"({"__metadata__":{"a":1}})", ""), HasSubstr("'a' is no string"));
  EXPECT_THAT(message(R"({"__metadata__":[]})", ""), HasSubstr("no JSON object"));
  EXPECT_EQ(message(R"({"a\nb":1})", "").find('\n'), std::string::npos);
  // Deep nesting must not overflow the stack.
  const std::string deep = R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":)" +
                           std::string(200'000, '[') + std::string(200'000, ']') + "}}";
  EXPECT_THAT(message(deep, "x"), HasSubstr("nothing else"));
}

TEST(IoSafetensors, FilesAreWholeAndFinite) {
  const TemporaryFolder folder;
  SafeTensors content = example();
  write_safetensors(folder / "m.safetensors", content);
  EXPECT_EQ(read_bytes(folder / "m.safetensors"), serialize_safetensors(content));
  EXPECT_EQ(read_safetensors(folder / "m.safetensors", true).tensors.size(), 3u);
  EXPECT_THAT(folder.names(), ElementsAre("m.safetensors"));

  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kHalf, at::kBFloat16}) {
    content.tensors["bad"] = at::tensor({1.0, std::numeric_limits<double>::quiet_NaN()}).to(type);
    write_safetensors(folder / "m.safetensors", content);
    EXPECT_THAT(message_of([&] { read_safetensors(folder / "m.safetensors"); }),
                HasSubstr("m.safetensors:bad: 1 of 2"));
  }
  content.tensors["bad"] = at::zeros({1}, at::kComplexFloat);
  EXPECT_THROW(write_safetensors(folder / "m.safetensors", content), Error);
  content.tensors.erase("bad");
  content.metadata["bad"] = "\xff";
  EXPECT_THROW(write_safetensors(folder / "m.safetensors", content), Error);
}

}  // namespace
}  // namespace tweedie::test
