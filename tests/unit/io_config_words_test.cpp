// What a misspelt key is taken to have meant.
#include "io/config.h"

#include <gtest/gtest.h>

namespace tweedie {
namespace {

TEST(Nearest, CountsSwapsAsOneEditAndKeepsAwayFromTheFar) {
  const std::vector<std::string> known{"steps", "eta", "x"};
  EXPECT_EQ(nearest("stpes", known), "steps");
  EXPECT_EQ(nearest("beta", known), "eta");
  EXPECT_EQ(nearest("y", known), "");
  EXPECT_EQ(nearest("particles", known), "");
}

}  // namespace
}  // namespace tweedie
