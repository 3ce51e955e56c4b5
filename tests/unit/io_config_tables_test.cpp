// Configs whose tables hold tables of their own kind.
#include "io/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tweedie {
namespace {

// A table may hold tables of its own kind, to any depth.
struct Tree;
struct Leaf {
  static constexpr const char* kind = "leaf";
  double size = 1;
};
struct Branch {
  static constexpr const char* kind = "branch";
  std::vector<Tree> parts;
  int64_t age = 2;
};
struct Tree {
  std::variant<Leaf, Branch> rule;
};
void fields(FieldVisitor& visit, Leaf& o) {
  visit(o.size, {"size", "", {.min = 0}});
}
void fields(FieldVisitor& visit, Tree& o) {
  visit.flatten(o.rule, {"kind", "", {.required = true}});
}
void fields(FieldVisitor& visit, Branch& o) {
  visit(o.parts, {"parts", "trees"});
  visit(o.age, {"age", ""});
}
struct Garden {
  Branch tree;
  double fence = 3;
};
void fields(FieldVisitor& visit, Garden& o) {
  visit(o.tree, {"tree", ""});
  visit(o.fence, {"fence", ""});
}

constexpr const char* garden = R"([tree]
age = 5
[[tree.parts]]
kind = "leaf"
size = 2.5
[[tree.parts]]
kind = "branch"
[[tree.parts.parts]]
kind = "leaf"
[[tree.parts.parts]]
kind = "leaf"
size = 0.5
[[tree.parts]]
kind = "leaf"
)";

TEST(ArraysOfTables, AreReadAndWrittenBack) {
  const auto value = Config::parse(garden, "g.toml").as<Garden>();
  ASSERT_EQ(value.tree.parts.size(), 3);
  EXPECT_EQ(std::get<Leaf>(value.tree.parts[0].rule).size, 2.5);
  const auto& branch = std::get<Branch>(value.tree.parts[1].rule);
  ASSERT_EQ(branch.parts.size(), 2);
  EXPECT_EQ(std::get<Leaf>(branch.parts[1].rule).size, 0.5);
  const std::string written = write_fields(value);
  EXPECT_THAT(written, testing::HasSubstr("[[tree.parts.parts]]"));
  EXPECT_EQ(write_fields(Config::parse(written, "w.toml").as<Garden>()), written);
  EXPECT_EQ(Config::parse(written, "w.toml").as<Garden>().tree.parts.size(), 3);
}

TEST(ArraysOfTables, AreRefusedByTheirPlace) {
  const auto said = [](const std::string& text) -> std::string {
    try {
      Config::parse(text, "g.toml").as<Garden>();
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  using testing::HasSubstr;
  EXPECT_THAT(said("[tree]\nparts = 3\n"),
              HasSubstr("tree.parts: 3 is not a list of tables; [[tree.parts]] is meant"));
  EXPECT_THAT(said("[tree]\nparts = [3]\n"), HasSubstr("tree.parts[0]: 3 is not a table"));
  EXPECT_THAT(said("[[tree.parts]]\nkind = \"leaf\"\n[[tree.parts]]\nkind = \"leaf\"\nsize = -1\n"),
              HasSubstr("g.toml:5:8: tree.parts[1].size: -1 is out of range"));
  EXPECT_THAT(said("[[tree.parts]]\nkind = \"leaf\"\nsise = 1\n"),
              HasSubstr("in [tree.parts[0]]; did you mean 'size'?"));
  EXPECT_THAT(said("[[tree.parts]]\n"), HasSubstr("missing key 'kind' in [tree.parts[0]]"));
  std::string deep;
  for (int i = 1; i < 60; ++i) {
    deep += "[[tree";
    for (int k = 0; k < i; ++k) deep += ".parts";
    deep += "]]\nkind = \"branch\"\n";
  }
  EXPECT_THAT(said(deep), HasSubstr("more than 32 tables deep"));
}

TEST(ArraysOfTables, AreOneLineOfHelp) {
  const std::string help = help_fields<Garden>();
  EXPECT_THAT(help, testing::HasSubstr("list of tables"));
}

}  // namespace
}  // namespace tweedie
