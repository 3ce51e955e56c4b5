#pragma once
// MODEL and the flags of drawing from it, which several commands share.

#include "cli.h"
#include "run/configs.h"

#include <optional>

namespace tweedie::cli {

struct DrawFlags {
  std::string model, sampler, schedule;
  std::optional<int64_t> count, steps;
  std::optional<double> eta, guidance;
  std::vector<int64_t> labels;
};

// count: the default, for --help
void add_model(CLI::App& command, DrawFlags& flags, const std::string& count);

// The flags, then the overrides on top of what a .toml MODEL says
SampleConfig sample_config(const DrawFlags& flags, const std::vector<std::string>& more);

}  // namespace tweedie::cli
