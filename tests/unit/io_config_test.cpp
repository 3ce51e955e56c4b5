#include "io/config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace tweedie {
namespace {

enum class Target { noise, data, score };
constexpr auto names(Target) {
  return std::array{"noise", "data", "score"};
}

struct Ddim {
  static constexpr const char* kind = "ddim";
  double eta = 0;
};
void fields(FieldVisitor& visit, Ddim& o) {
  visit(o.eta, {"eta", "0: ODE, 1: ancestral", {.min = 0, .max = 1}});
}

struct Heun {
  static constexpr const char* kind = "heun";
  double churn = 40;
  std::optional<int64_t> order;
};
void fields(FieldVisitor& visit, Heun& o) {
  visit(o.churn, {"churn", "noise put back", {.min = 0, .open_min = true}});
  visit(o.order, {"order", "", {.min = 1, .max = 2}});
}

// A variant's fields and common ones in one table.
struct Sampler {
  std::variant<Ddim, Heun> rule;
  int64_t steps = 50;
};
void fields(FieldVisitor& visit, Sampler& o) {
  visit.flatten(o.rule);
  visit(o.steps, {"steps", "number of steps", {.min = 1}});
}

struct Measurement {
  std::filesystem::path y;
  double std = 0.1;
};
void fields(FieldVisitor& visit, Measurement& o) {
  visit(o.y, {"y", "the measurement", {.required = true}});
  visit(o.std, {"std"});
}

// `template <class Visitor>` is another way to write the table.
struct Network {
  std::vector<int64_t> multipliers{1, 2, 4};
  std::vector<double> levels;
  std::vector<std::string> tags;
  bool ema = true;
  Target target = Target::noise;
};
template <class Visitor>
void fields(Visitor& visit, Network& o) {
  visit(o.multipliers, {"multipliers", "", {.min = 1}});
  visit(o.levels, {"levels"});
  visit(o.tags, {"tags"});
  visit(o.ema, {"ema"});
  visit(o.target, {"target", "what the network predicts"});
}

struct Options {
  Sampler sampler;  // visited before the keys of the top level, which must still be written first
  uint64_t seed = 0;
  std::string title = "none";
  std::optional<Measurement> measurement;
  Network network;
  std::variant<Ddim, Heun> other = Heun{};
};
void fields(FieldVisitor& visit, Options& o) {
  visit(o.sampler, {"sampler", "how to walk down"});
  visit(o.seed, {"seed", "of all randomness"});
  visit(o.title, {"title"});
  visit(o.measurement, {"measurement"});
  visit(o.network, {"network"});
  visit(o.other, {"other"});
}

Options parse(std::string_view text, const std::vector<std::string>& overrides = {}) {
  return Config::parse(text, "a.toml", overrides, "/base").as<Options>();
}

std::string message(std::string_view text, const std::vector<std::string>& overrides = {}) {
  try {
    parse(text, overrides);
  } catch (const Error& error) {
    return error.what();
  }
  return "";
}

TEST(ConfigRead, SilenceMeansDefaults) {
  const Options o = parse("");
  EXPECT_EQ(o.sampler.steps, 50);
  EXPECT_EQ(o.title, "none");
  EXPECT_FALSE(o.measurement.has_value());
  EXPECT_TRUE(std::holds_alternative<Ddim>(o.sampler.rule));
  EXPECT_TRUE(std::holds_alternative<Heun>(o.other));
}

TEST(ConfigRead, EveryType) {
  const Options o = parse(R"(
seed = 7
title = "two \"words\""
[sampler]
kind = "heun"
churn = 3
order = 2
steps = 10
[measurement]
y = "../y.npy"
[network]
multipliers = [1, 2]
levels = [0.5, 1]
tags = ["a"]
ema = false
target = "score"
[other]
kind = "ddim"
eta = 0.25
)");
  EXPECT_EQ(o.seed, 7u);
  EXPECT_EQ(o.title, "two \"words\"");
  const auto& heun = std::get<Heun>(o.sampler.rule);
  EXPECT_EQ(heun.churn, 3.0);
  EXPECT_EQ(heun.order, 2);
  EXPECT_EQ(o.sampler.steps, 10);
  EXPECT_EQ(o.measurement->y, "/y.npy");
  EXPECT_EQ(o.network.multipliers, (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(o.network.levels, (std::vector<double>{0.5, 1}));
  EXPECT_EQ(o.network.tags, std::vector<std::string>{"a"});
  EXPECT_FALSE(o.network.ema);
  EXPECT_EQ(o.network.target, Target::score);
  EXPECT_EQ(std::get<Ddim>(o.other).eta, 0.25);
}

TEST(ConfigRead, AbsentKindIsTheCurrentAlternative) {
  EXPECT_EQ(std::get<Heun>(parse("[other]\nchurn = 2").other).churn, 2);
}

TEST(ConfigRead, PathsAreRelativeToTheFileAndAbsoluteOnesStay) {
  EXPECT_EQ(parse("[measurement]\ny = 'd/y.npy'").measurement->y, "/base/d/y.npy");
  EXPECT_EQ(parse("[measurement]\ny = '/d/y.npy'").measurement->y, "/d/y.npy");
  EXPECT_EQ(Config::parse("[measurement]\ny = 'y.npy'", "n").as<Options>().measurement->y, "y.npy");
}

TEST(ConfigRead, OneTableOfADocument) {
  const Config config = Config::parse("seed = 1\n[a.sampler]\nsteps = 3\n", "a.toml");
  EXPECT_EQ(config.as<Sampler>("a.sampler").steps, 3);
  EXPECT_EQ(config.as<Sampler>("b.sampler").steps, 50);
}

TEST(ConfigRead, AnErrorLeavesTheValueAsItWas) {
  Sampler sampler{.rule = {}, .steps = 5};
  const Config config = Config::parse("steps = 9\neta = 7", "a.toml");
  EXPECT_THROW(read_fields(config, sampler), Error);
  EXPECT_EQ(sampler.steps, 5);
}

TEST(ConfigRead, HasAndPlace) {
  const Config config = Config::parse("[method]\nsteps = 3\n", "a.toml", {"method.draws=5"});
  EXPECT_TRUE(config.has("method.steps"));
  EXPECT_TRUE(config.has("method"));
  EXPECT_FALSE(config.has("method.step"));
  EXPECT_FALSE(config.has("method.steps.x"));
  EXPECT_FALSE(config.has(""));
  EXPECT_EQ(config.place("method.steps"), "a.toml:2:9");
  EXPECT_EQ(config.place("method.draws"), "--set method.draws");
  EXPECT_EQ(config.place("method.other"), "a.toml");
}

struct Case {
  const char* text;
  const char* message;
};

// Without the name, so that GoogleTest prints the case.
void PrintTo(const Case& c, std::ostream* out) {
  *out << c.text;
}

class ConfigError : public testing::TestWithParam<Case> {};

TEST_P(ConfigError, NamesPlaceValueAndMeaning) {
  EXPECT_EQ(message(GetParam().text), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    Table, ConfigError,
    testing::Values(
        Case{"[sampler]\nsteps = 3.5", "a.toml:2:9: sampler.steps: 3.5 is not a whole number"},
        Case{"[sampler]\nsteps = \"3\"", "a.toml:2:9: sampler.steps: \"3\" is not a whole number"},
        Case{"[sampler]\nsteps = 0", "a.toml:2:9: sampler.steps: 0 is out of range; a value >= 1 is meant"},
        Case{"[sampler]\n  eta = 1.5",
             "a.toml:2:9: sampler.eta: 1.5 is out of range; a value in [0, 1] is meant"},
        Case{"[sampler]\neta = true", "a.toml:2:7: sampler.eta: true is not a number"},
        Case{"[sampler]\neta = nan", "a.toml:2:7: sampler.eta: nan is not a finite number"},
        Case{"[other]\nchurn = inf", "a.toml:2:9: other.churn: inf is not a finite number"},
        Case{"[other]\nchurn = 0", "a.toml:2:9: other.churn: 0 is out of range; a value > 0 is meant"},
        Case{"[other]\norder = 3", "a.toml:2:9: other.order: 3 is out of range; a value in [1, 2] is meant"},
        Case{"[sampler]\nstpes = 3", "a.toml:2:1: unknown key 'stpes' in [sampler]; did you mean 'steps'?"},
        Case{"[sampler]\nfoo = 1\nbar = 2",
             "a.toml:2:1: unknown key 'foo' in [sampler]; kind 'ddim'; known: kind, eta, steps"},
        Case{"[other]\neta = 1",
             "a.toml:2:1: unknown key 'eta' in [other]; kind 'heun'; known: kind, churn, order"},
        Case{"sede = 3", "a.toml:1:1: unknown key 'sede' at the top level; did you mean 'seed'?"},
        Case{"seed = 1\n\n[smapler]\nsteps = 3",
             "a.toml:3:2: unknown table [smapler]; did you mean 'sampler'?"},
        Case{"[zzz]",
             "a.toml:1:2: unknown table [zzz]; known: sampler, seed, title, measurement, network, other"},
        Case{"[sampler]\nkind = \"dimm\"",
             "a.toml:2:8: sampler.kind: \"dimm\" is not known; known: ddim, heun"},
        Case{"[sampler]\nkind = \"dddim\"",
             "a.toml:2:8: sampler.kind: \"dddim\" is not known; did you mean 'ddim'? (known: ddim, heun)"},
        Case{"[sampler]\nkind = 3", "a.toml:2:8: sampler.kind: 3 is not a string; quotes are meant"},
        Case{"[measurement]\nstd = 1", "a.toml:1:1: missing key 'y' in [measurement] (the measurement)"},
        Case{"[measurement]\nx = 1", "a.toml:2:1: unknown key 'x' in [measurement]; known: y, std"},
        Case{"[measurement]\ny = ''", "a.toml:2:5: measurement.y: \"\" is empty; a path is meant"},
        Case{"[measurement]\ny = 3", "a.toml:2:5: measurement.y: 3 is not a string; quotes are meant"},
        Case{"sampler = 3", "a.toml:1:11: sampler: 3 is not a table"},
        Case{"[[sampler]]\nsteps = 1", "a.toml:1:1: sampler: a list is not a table"},
        Case{"seed = -1", "a.toml:1:8: seed: -1 is out of range; a value >= 0 is meant"},
        Case{"seed = \"1x\"", "a.toml:1:8: seed: \"1x\" is not a whole number between 0 and 2^64 - 1"},
        Case{"title = 1979-05-27", "a.toml:1:9: title: 1979-05-27 is not a string; quotes are meant"},
        Case{"[network]\nema = 1", "a.toml:2:7: network.ema: 1 is not true or false"},
        Case{"[network]\nmultipliers = 1",
             "a.toml:2:15: network.multipliers: 1 is not a list; square brackets are meant"},
        Case{"[network]\nmultipliers = [1,\n 2.5]",
             "a.toml:3:2: network.multipliers[1]: 2.5 is not a whole number"},
        Case{"[network]\nmultipliers = [0]",
             "a.toml:2:16: network.multipliers[0]: 0 is out of range; a value >= 1 is meant"},
        Case{"[network]\nlevels = [[1.0]]", "a.toml:2:11: network.levels[0]: a list is not a number"},
        Case{"[network]\ntarget = \"nose\"",
             "a.toml:2:10: network.target: \"nose\" is not known; did you mean 'noise'? (known: noise, data, "
             "score)"},
        Case{"[network]\ntarget = {}",
             "a.toml:2:10: network.target: a table is not a string; quotes are meant"},
        Case{"seed = 1\n\"\\n\" = 2",
             "a.toml:2:1: unknown key '\\n' at the top level; known: sampler, seed, title, "
             "measurement, network, other"}));

TEST(ConfigRead, SyntaxErrorsHaveAPlace) {
  EXPECT_THAT(message("seed = 1\nseed = 2"), testing::StartsWith("a.toml:2:"));
  EXPECT_THAT(message("[sampler\nsteps = 1"), testing::StartsWith("a.toml:1:"));
  EXPECT_THAT(message("seed = 1\n\n  x = \n"), testing::StartsWith("a.toml:3:"));
  EXPECT_THAT(message("title = \"\xff\""), testing::StartsWith("a.toml:1:"));
}

TEST(ConfigRead, DeepDocumentsAreRefused) {
  std::string dotted = "a";
  for (int i = 0; i < 100'000; ++i) dotted += ".a";
  EXPECT_THAT(message(dotted + " = 1"), testing::HasSubstr("dots on one line"));
  EXPECT_THAT(message("seed = " + std::string(100'000, '[')), testing::StartsWith("a.toml:1:"));
  EXPECT_THAT(message("", {"seed={" + dotted + "=1}"}), testing::StartsWith("--set seed: "));
}

TEST(ConfigRead, Files) {
  const auto folder = std::filesystem::path(testing::TempDir()) / "tweedie_config";
  std::filesystem::create_directories(folder);
  std::ofstream(folder / "c.toml") << "[measurement]\ny = \"y.npy\"\n";
  EXPECT_EQ(Config::read(folder / "c.toml").as<Options>().measurement->y, folder / "y.npy");
  EXPECT_THROW(Config::read(folder), Error);
  EXPECT_THROW(Config::read(folder / "none.toml"), Error);
}

TEST(ConfigSet, OverridesTheFileAndFillsGaps) {
  const Options o =
      parse("[sampler]\nsteps = 3", {"sampler.steps=4", "seed=12", "measurement.y=y.npy", "title=a b",
                                     "network.multipliers=[3]", "other.kind=ddim", "other.eta=1e-1"});
  EXPECT_EQ(o.sampler.steps, 4);
  EXPECT_EQ(o.seed, 12u);
  EXPECT_EQ(o.measurement->y, "/base/y.npy");
  EXPECT_EQ(o.title, "a b");
  EXPECT_EQ(o.network.multipliers, std::vector<int64_t>{3});
  EXPECT_EQ(std::get<Ddim>(o.other).eta, 0.1);
}

TEST(ConfigSet, TextTakesWhatWasTyped) {
  EXPECT_EQ(parse("", {"title=1.50"}).title, "1.50");
  EXPECT_EQ(parse("", {"title=\"1.50\""}).title, "1.50");
  EXPECT_EQ(parse("", {"title=a=b # c"}).title, "a=b # c");
  EXPECT_EQ(parse("", {"title="}).title, "");
  EXPECT_EQ(parse("", {"title=1\nseed = 2"}).title, "1\nseed = 2");
}

TEST(ConfigSet, LastOneWins) {
  EXPECT_EQ(parse("", {"seed=1", "seed=2"}).seed, 2u);
}

TEST(ConfigSet, ErrorsNameTheOverride) {
  EXPECT_EQ(message("", {"sampler.steps=0"}),
            "--set sampler.steps: sampler.steps: 0 is out of range; a value >= 1 is meant");
  EXPECT_EQ(message("", {"sampler.steps=many"}),
            "--set sampler.steps: sampler.steps: \"many\" is not a whole number");
  EXPECT_EQ(message("", {"sampler={steps=2.5}"}), "--set sampler: sampler.steps: 2.5 is not a whole number");
  EXPECT_EQ(message("", {"network.multipliers=[1, 0]"}),
            "--set network.multipliers: network.multipliers[1]: 0 is out of range; a value >= 1 is meant");
  EXPECT_EQ(message("", {"sampler.stpes=2"}),
            "--set sampler.stpes: unknown key 'stpes' in [sampler]; did you mean 'steps'?");
  EXPECT_EQ(message("seed = 1", {"seed.x=2"}), "--set seed.x: 'seed' is 1, not a table");
  EXPECT_EQ(message("", {"seed"}), "--set seed: no value; table.key=value is meant");
  EXPECT_EQ(message("", {"seed=\xbc"}), "--set: text that is not UTF-8; table.key=value is meant");
  EXPECT_EQ(message("", {"=1"}), "--set : not a key; table.key=value is meant");
  EXPECT_EQ(message("", {"a..b=1"}), "--set a..b: not a key; table.key=value is meant");
  EXPECT_EQ(message("", {"measurement.std=2"}), "a.toml: missing key 'y' in [measurement] (the measurement)");
}

TEST(ConfigWrite, RoundTripsExactly) {
  Options o;
  o.seed = std::numeric_limits<uint64_t>::max();
  o.title = "quote \" slash \\ line\n tab\t bell\a del\x7f \xc3\xa9";
  o.sampler = {.rule = Heun{.churn = 0.1 + 0.2, .order = 1}, .steps = std::numeric_limits<int64_t>::max()};
  o.measurement = Measurement{.y = "/a b/y.npy", .std = 5e-324};
  o.network.levels = {1, -0.0, 1e300, 1.0 / 3, 1e-5};
  o.network.tags = {"", "x"};
  o.network.multipliers.clear();
  o.network.target = Target::data;
  const std::string text = write_fields(o);
  const Options back = parse(text);
  EXPECT_EQ(back.seed, o.seed);
  EXPECT_EQ(back.title, o.title);
  EXPECT_EQ(std::get<Heun>(back.sampler.rule).churn, 0.1 + 0.2);
  EXPECT_EQ(std::get<Heun>(back.sampler.rule).order, 1);
  EXPECT_EQ(back.sampler.steps, o.sampler.steps);
  EXPECT_EQ(back.measurement->y, o.measurement->y);
  EXPECT_EQ(back.measurement->std, 5e-324);
  EXPECT_EQ(back.network.levels, o.network.levels);
  EXPECT_TRUE(std::signbit(back.network.levels[1]));
  EXPECT_EQ(back.network.tags, o.network.tags);
  EXPECT_TRUE(back.network.multipliers.empty());
  EXPECT_EQ(back.network.target, Target::data);
  EXPECT_EQ(write_fields(back), text);
}

TEST(ConfigWrite, DefaultsInFull) {
  EXPECT_EQ(write_fields(Options{}), R"(seed = 0
title = "none"

[sampler]
kind = "ddim"
eta = 0.0
steps = 50

[network]
multipliers = [1, 2, 4]
levels = []
tags = []
ema = true
target = "noise"

[other]
kind = "heun"
churn = 40.0
)");
}

TEST(ConfigWrite, RefusesWhatAConfigCannotHold) {
  Options o;
  o.sampler.rule = Ddim{std::numeric_limits<double>::quiet_NaN()};
  EXPECT_THROW(write_fields(o), Error);
  Options text;
  text.title = "\xff";
  EXPECT_THROW(write_fields(text), Error);
}

TEST(ConfigHelp, NamesEveryFieldOfEveryKind) {
  const std::string help = help_fields<Options>();
  for (const char* part : {"[sampler]", "kind = \"heun\"", "churn", "> 0", "in [0, 1]", "number of steps",
                           "required", "noise, data, score", "[1, 2, 4]"}) {
    EXPECT_THAT(help, testing::HasSubstr(part)) << help;
  }
}

TEST(ConfigHelp, Descriptions) {
  const auto lines = describe_fields<Options>();
  const auto order = std::find_if(lines.begin(), lines.end(), [](const auto& line) {
    return line.table == "sampler" && line.name == "order";
  });
  ASSERT_NE(order, lines.end());
  EXPECT_EQ(order->kind, "kind = \"heun\"");
  EXPECT_EQ(order->type, "whole number");
  EXPECT_EQ(order->value, "");
  EXPECT_EQ(order->range, "in [1, 2]");
}

}  // namespace
}  // namespace tweedie
