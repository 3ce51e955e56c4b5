#include "cli.h"
#include "io/config.h"

namespace tweedie::cli {

namespace {

// A line for each lead: the scores, and the RMSE of each baseline
std::vector<std::string> table_of(const Summary& summary) {
  if (!summary.contains("leads")) return {};
  const auto number = [](const Summary& of, const char* name) {
    return of.contains(name) ? fmt::format("{:>10.4g}", of[name].get<double>()) : fmt::format("{:>10}", "-");
  };
  const Summary& baselines = summary["baselines"];
  std::string heading = "lead      rmse    spread      crps       acc    rank p";
  for (const Summary& other : baselines) heading += fmt::format("  {:>14}", other["name"].get<std::string>());
  std::vector<std::string> lines{heading + (baselines.empty() ? "" : "  (rmse)")};
  for (size_t l = 0; l < summary["leads"].size(); ++l) {
    const Summary& s = summary["leads"][l];
    std::string line = fmt::format("{:>4}", l + 1);
    for (const char* name : {"rmse", "spread", "crps", "acc", "rank_p_value"}) line += number(s, name);
    for (const Summary& other : baselines) line += "      " + number(other["leads"][l], "rmse");
    lines.push_back(line);
  }
  return lines;
}

}  // namespace

void add_forecast(CLI::App& app, Shared& shared, Action& action) {
  CLI::App* command = app.add_subcommand(
      "forecast",
      "draw the next states of a series, again and again: CONFIG.toml -> RUN/forecast.npy, mean.npy");
  const auto config = std::make_shared<std::string>();
  command->add_option("config", *config, "the config")->required()->type_name("CONFIG.toml");
  add_keys(*command, help_fields<ForecastConfig>());
  command->callback([=, &shared, &action] {
    action = [=, &shared] {
      const auto options = Config::read(*config, shared.overrides()).as<ForecastConfig>();
      const RunContext context = shared.context("out/forecast");
      const Summary summary = shared.services().forecast(options, context);
      auto lines = lines_of(summary, {"method", "prior", "cases", "members", "frames", "steps",
                                      "network_evaluations", "network_vjps", "seconds"});
      for (const std::string& line : table_of(summary)) lines.push_back(line);
      if (summary.contains("verdict")) lines.push_back(summary["verdict"].get<std::string>());
      lines.push_back("-> " + context.out.string());
      print(shared, summary, lines);
      return 0;
    };
  });
}

}  // namespace tweedie::cli
