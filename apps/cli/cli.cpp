#include "cli.h"

#include "progress_line.h"
#include "tweedie/error.h"

#include <iostream>

namespace tweedie::cli {

namespace {

at::Device parse_device(const Shared& shared) {
  const std::string& text = shared.device;
  const bool cuda =
      text == "cuda" || (text.rfind("cuda:", 0) == 0 && text.size() > 5 &&
                         text.find_first_not_of("0123456789", 5) == std::string::npos && text.size() < 8);
  if (text != "cpu" && !cuda) throw Error("--device", "'" + text + "': cpu, cuda or cuda:i is meant");
  if (cuda && !shared.services().has_cuda()) {
    throw Error("--device", "'" + text + "': this libtorch was built without CUDA, or there is no GPU");
  }
  return at::Device(text);
}

Precision parse_precision(const std::string& text) {
  if (text.empty()) return Precision::automatic;
  if (text == "f32") return Precision::f32;
  if (text == "bf16") return Precision::bf16;
  throw Error("--dtype", "'" + text + "': f32 or bf16 is meant");
}

std::string show(const nlohmann::ordered_json& value) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_number_float()) return fmt::format("{:.6g}", value.get<double>());
  return value.dump(-1, ' ', false, Summary::error_handler_t::replace);
}

}  // namespace

RunContext Shared::context(const std::string& default_out) const {
  RunContext context;
  context.out = out.empty() ? default_out : out;
  context.force = force;
  context.device = parse_device(*this);
  context.precision = parse_precision(dtype);
  context.threads = threads;
  context.memory = memory;
  context.observer = progress_line(quiet);
  return context;
}

std::vector<std::string> Shared::overrides() const {
  std::vector<std::string> result = set;
  if (seed)
    result.push_back(
        fmt::format("seed={}", *seed > INT64_MAX ? fmt::format("\"{}\"", *seed) : fmt::format("{}", *seed)));
  return result;
}

std::vector<std::string> lines_of(const Summary& summary, const std::vector<std::string>& names) {
  size_t width = 0;
  for (const std::string& name : names) {
    if (summary.contains(name)) width = std::max(width, name.size());
  }
  std::vector<std::string> lines;
  for (const std::string& name : names) {
    if (summary.contains(name)) lines.push_back(fmt::format("{:<{}}  {}", name, width, show(summary[name])));
  }
  return lines;
}

std::vector<std::string> lines_of(const std::vector<Finding>& findings) {
  std::vector<std::string> lines;
  for (const Finding& finding : findings) {
    lines.push_back(fmt::format("{:<7}  {}: {}", to_string(finding.status), finding.name, finding.message));
    if (!finding.remedy.empty()) lines.push_back("         -> " + finding.remedy);
  }
  return lines;
}

void print(const Shared& shared, const Summary& summary, const std::vector<std::string>& lines) {
  if (summary.contains("warnings") && !shared.quiet) {
    for (const auto& warning : summary["warnings"])
      std::cerr << "tweedie: warning: " << warning.get<std::string>() << "\n";
  }
  if (shared.json) {
    std::cout << summary.dump(2, ' ', false, Summary::error_handler_t::replace) << "\n";
    return;
  }
  for (const std::string& line : lines) std::cout << line << "\n";
}

void add_keys(CLI::App& command, const std::string& keys) {
  command.footer("Keys of the config:\n" + keys);
}

}  // namespace tweedie::cli
