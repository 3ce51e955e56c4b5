#include "cli.h"
#include "io/config.h"
#include "io/operator_fields.h"
#include "tweedie/error.h"

#include <fmt/ranges.h>

#include <algorithm>

namespace tweedie {

void fields(FieldVisitor& visit, CheckOperatorConfig::Measurement& o) {
  visit(o.shape, {"shape", "of x", {.min = 1, .required = true}});
  visit(o.forward, {"operator", "what is tested", {.required = true}});
}
void fields(FieldVisitor& visit, CheckOperatorConfig& o) {
  visit(o.seed, {"seed", "of random operators, x and y"});
  visit(o.measurement, {"measurement", "", {.required = true}});
}

}  // namespace tweedie

namespace tweedie::cli {

namespace {

// With the shape of x given, any command's config will do: only its operator is read.
CheckOperatorConfig read_config(const std::string& file, const std::vector<int64_t>& shape,
                                const Shared& shared) {
  const Config config = Config::read(file, shared.overrides());
  if (shape.empty()) return config.as<CheckOperatorConfig>();
  for (const int64_t n : shape) {
    if (n < 1) throw Error("--shape", fmt::format("{}: extents of at least 1 are meant", n));
  }
  if (!config.has("measurement.operator")) {
    throw Error(config.name(), "no table [measurement.operator] in it");
  }
  CheckOperatorConfig result;
  result.seed = shared.seed.value_or(0);
  result.measurement.shape = shape;
  result.measurement.forward = config.as<OperatorOptions>("measurement.operator");
  return result;
}

std::string number(double value) {
  return fmt::format("{:.1e}", value);
}

// One operator: a line for each check.
std::vector<std::string> lines_of(const CheckedOperator& o) {
  std::vector<std::string> lines{fmt::format("{}: ({}) -> ({}), {}", o.name, fmt::join(o.domain, ", "),
                                             fmt::join(o.codomain, ", "),
                                             o.linear ? "linear" : "not linear")};
  for (const OperatorCheck& c : o.checks) {
    lines.push_back(fmt::format("  {:<4}  {:<17}  {:>8}  <= {:<8}  {}", c.passed() ? "ok" : "FAIL", c.name,
                                number(c.value), number(c.bound), c.note));
  }
  return lines;
}

// Many: a line for each operator, in Markdown.
std::vector<std::string> table_of(const std::vector<CheckedOperator>& operators) {
  const auto value = [](const CheckedOperator& o, const char* name) {
    const auto found = std::find_if(o.checks.begin(), o.checks.end(),
                                    [&](const OperatorCheck& c) { return c.name == name; });
    if (found == o.checks.end()) return std::string("-");
    if (found->bound == 0) return std::string("-");
    return number(found->value) + (found->passed() ? "" : " !");
  };
  static constexpr std::array columns{"adjoint",        "adjoint, float32", "norm",          "solve of A^T A",
                                      "solve of A A^T", "pseudo-inverse",   "decomposition", "vjp"};
  std::vector<std::string> lines{
      fmt::format("| operator | {} |", fmt::join(columns, " | ")),
      fmt::format("|---|{}", fmt::join(std::vector<std::string>(columns.size(), "--:|"), ""))};
  for (const CheckedOperator& o : operators) {
    std::vector<std::string> cells;
    for (const char* column : columns) cells.push_back(value(o, column));
    lines.push_back(fmt::format("| {} | {} |", o.name, fmt::join(cells, " | ")));
  }
  return lines;
}

}  // namespace

void add_check_operator(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "check-operator", "test an operator's adjoint, derivative, norm and solves: CONFIG.toml -> a table");
  struct Flags {
    std::string config;
    std::vector<int64_t> shape;
    bool all = false;
  };
  const auto flags = std::make_shared<Flags>();
  auto* config = command->add_option("config", flags->config, "the config")->type_name("CONFIG.toml");
  command->add_option("--shape", flags->shape, "of x, for a config of another command: 1,28,28")
      ->delimiter(',')
      ->allow_extra_args(false)
      ->type_name("N,...")
      ->needs(config);
  command->add_flag("--all", flags->all, "every operator that there is, in small")->excludes(config);
  add_keys(*command, help_fields<CheckOperatorConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      if (flags->config.empty() && !flags->all)
        throw Error("check-operator", "a CONFIG.toml or --all is needed");
      const Services& services = shared.services();
      const RunContext context = shared.context("");
      const OperatorReport report =
          flags->all ? services.check_all_operators(shared.seed.value_or(0), context)
                     : services.check_operator_of(read_config(flags->config, flags->shape, shared), context);
      std::vector<std::string> lines =
          flags->all ? table_of(report.operators) : lines_of(report.operators[0]);
      lines.push_back(report.passed() ? "Every check holds." : "A check fails.");
      print(shared, report.summary, lines);
      return report.passed() ? 0 : 1;
    };
  });
}

}  // namespace tweedie::cli
