#include "io/csv.h"

#include "support/broken_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>

namespace tweedie::test {
namespace {

using ::testing::StartsWith;

Tensor table(const std::string& text) {
  return parse_csv(view_of(text), "t.csv");
}

std::string message(const std::string& text) {
  return message_of([&] { table(text); });
}

TEST(IoCsv, Numbers) {
  const Tensor expected = at::tensor({1.0, -2.5, 3e4, 0.125}).reshape({2, 2});
  for (const char* text : {"1,-2.5\n3e4,.125\n", "1,-2.5\n3e4,.125", "a,b\n1,-2.5\n3e4,.125\n",
                           " 1 , -2.5\r\n+3E4,\t0.125\r\n\r\n",
                           "\xef\xbb\xbf# a comment\n\"a, quoted\",\"b\"\n\n1,\"-2.5\"\n3e4,.125"}) {
    EXPECT_TRUE(at::equal(table(text), expected)) << text;
  }
  EXPECT_TRUE(at::equal(table("1\n2\n"), at::tensor({1.0, 2.0}).reshape({2, 1})));
  EXPECT_EQ(table("0.1").item<double>(), 0.1);
}

TEST(IoCsv, BadCellsAreNamedByPlace) {
  EXPECT_EQ(message("1,2\n3,x4\n"), "t.csv:2:3: 'x4' is no number");
  EXPECT_EQ(message("a,b\n1,  2z\n"), "t.csv:2:5: '2z' is no number");
  EXPECT_EQ(message("1,b\n"), "t.csv:1:3: 'b' is no number");
  EXPECT_EQ(message("1,2\n3,\n"), "t.csv:2:3: an empty cell, but a number is meant");
  EXPECT_EQ(message("1,nan\n"), "t.csv:1:3: 'nan', but a finite number is meant");
  EXPECT_EQ(message("1\n-inf\n"), "t.csv:2:1: '-inf', but a finite number is meant");
  EXPECT_EQ(message("1e999\n"), "t.csv:1:1: '1e999' is beyond float64");
  EXPECT_THAT(message("1 2\n3 4\n1"),
              StartsWith("t.csv:2:1: '3 4'"));  // a first row of no numbers reads as names
  EXPECT_EQ(message("1;2\n"), "t.csv: holds no row of numbers");
  EXPECT_EQ(message(std::string("1\n\0\1\n", 5)), "t.csv:2:1: '\?\?' is no number");
}

TEST(IoCsv, RaggedRowsAreNamedByPlace) {
  EXPECT_EQ(message("1,2\n3,4,5\n"), "t.csv:2:5: 3 cells, but the first row has 2");
  EXPECT_EQ(message("a,b\n1\n"), "t.csv:2:1: 1 cells, but the first row has 2");
}

TEST(IoCsv, Emptiness) {
  for (const char* text : {"", "\n\n", "a,b\n", "# nothing"})
    EXPECT_EQ(message(text), "t.csv: holds no row of numbers");
}

TEST(IoCsv, NanOnlyWhenAllowed) {
  EXPECT_TRUE(parse_csv(to_bytes("1,nan\n"), "t.csv", false).isnan()[0][1].item<bool>());
}

}  // namespace
}  // namespace tweedie::test
