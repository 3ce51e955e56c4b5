#pragma once
// The command line: one subcommand a file, each a function that adds itself to the program.

#include "services/services.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include <functional>
#include <string>
#include <vector>

namespace tweedie::cli {

// Flags that all commands share.
struct Shared {
  std::string out;
  std::optional<uint64_t> seed;
  std::string device = "cpu", dtype;
  int64_t threads = 0, memory = 0;
  std::vector<std::string> set;
  bool json = false, quiet = false, force = false;

  // What computes, loaded at the first call: that takes half a second, so not before there is something to
  // compute.
  const Services& services() const;
  // with the observer that draws the progress line and listens to Ctrl-C
  RunContext context(const std::string& default_out) const;
  // --set and --seed, as overrides of a config
  std::vector<std::string> overrides() const;
};

// What the chosen command does; returns the exit status.
using Action = std::function<int()>;

// Results: the summary as JSON with --json, else the lines given.
void print(const Shared& shared, const Summary& summary, const std::vector<std::string>& lines);
// "  name   value" lines of the numbers in a summary, those named
std::vector<std::string> lines_of(const Summary& summary, const std::vector<std::string>& names);

// A line for each finding, and one for its remedy
std::vector<std::string> lines_of(const std::vector<Finding>& findings);

// The help of a command followed by its config's keys
void add_keys(CLI::App& command, const std::string& keys);

void add_train(CLI::App& app, Shared& shared, Action& action);
void add_sample(CLI::App& app, Shared& shared, Action& action);
void add_measure(CLI::App& app, Shared& shared, Action& action);
void add_infer(CLI::App& app, Shared& shared, Action& action);
void add_forecast(CLI::App& app, Shared& shared, Action& action);
void add_diagnose(CLI::App& app, Shared& shared, Action& action);
void add_calibrate(CLI::App& app, Shared& shared, Action& action);
void add_certify(CLI::App& app, Shared& shared, Action& action);
void add_compare(CLI::App& app, Shared& shared, Action& action);
void add_likelihood(CLI::App& app, Shared& shared, Action& action);
void add_evaluate(CLI::App& app, Shared& shared, Action& action);
void add_denoise(CLI::App& app, Shared& shared, Action& action);
void add_reconstruct(CLI::App& app, Shared& shared, Action& action);
void add_complete(CLI::App& app, Shared& shared, Action& action);
void add_convert(CLI::App& app, Shared& shared, Action& action);
void add_info(CLI::App& app, Shared& shared, Action& action);
void add_bench(CLI::App& app, Shared& shared, Action& action);
void add_check_operator(CLI::App& app, Shared& shared, Action& action);

}  // namespace tweedie::cli
