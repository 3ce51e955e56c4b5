// Any text is either a config or an Error; a config that was read is written, read again and written the
// same.

#include "io/config.h"

#include <cstdlib>

namespace {

enum class Target { noise, data };
constexpr auto names(Target) {
  return std::array{"noise", "data"};
}

struct Ddim {
  static constexpr const char* kind = "ddim";
  int64_t steps = 50;
  double eta = 0;
};
void fields(tweedie::FieldVisitor& visit, Ddim& o) {
  visit(o.steps, {"steps", "", {.min = 1}});
  visit(o.eta, {"eta", "", {.min = 0, .max = 1}});
}

struct Heun {
  static constexpr const char* kind = "heun";
  std::optional<double> churn;
};
void fields(tweedie::FieldVisitor& visit, Heun& o) {
  visit(o.churn, {"churn"});
}

struct Tree {
  int64_t size = 1;
  std::vector<Tree> parts;
};
void fields(tweedie::FieldVisitor& visit, Tree& o) {
  visit(o.size, {"size"});
  visit(o.parts, {"parts"});
}

struct Options {
  uint64_t seed = 0;
  std::vector<Tree> trees;
  bool ema = true;
  Target target = Target::noise;
  std::string title;
  std::filesystem::path file;
  std::vector<double> levels;
  std::vector<int64_t> channels{1, 2};
  std::variant<Ddim, Heun> sampler;
};
void fields(tweedie::FieldVisitor& visit, Options& o) {
  visit(o.seed, {"seed"});
  visit(o.trees, {"trees"});
  visit(o.ema, {"ema"});
  visit(o.target, {"target"});
  visit(o.title, {"title"});
  visit(o.file, {"file"});
  visit(o.levels, {"levels"});
  visit(o.channels, {"channels"});
  visit(o.sampler, {"sampler"});
}

}  // namespace

// The input up to the first 0 is the document, the rest an override.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string input(reinterpret_cast<const char*>(data), size);
  const size_t zero = input.find('\0');
  std::vector<std::string> overrides;
  if (zero != std::string::npos) overrides.push_back(input.substr(zero + 1));
  std::string written;
  try {
    written =
        tweedie::write_fields(tweedie::Config::parse(input.substr(0, zero), "fuzz", overrides).as<Options>());
  } catch (const tweedie::Error& error) {
    if (std::string(error.what()).find('\n') != std::string::npos) std::abort();
    return 0;
  }
  if (tweedie::write_fields(tweedie::Config::parse(written, "again").as<Options>()) != written) std::abort();
  return 0;
}
